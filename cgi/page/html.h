/* Values as HTML that is XML, too: of what comes from hooks nothing can become
 * markup. */
#ifndef HTML_H
#define HTML_H

#include "base/text.h"

/* Appends at most `limit` characters, and an ellipsis if there are more. Bytes
 * that are no UTF-8, characters that XML does not have, and those that change
 * the direction of the text around them become U+FFFD. Safe as an element's
 * content and in a quoted attribute. */
void	html_text(struct text *, struct span, size_t limit);

/* The same for valid JSON, with a line for each member. */
void	html_json(struct text *, struct span, size_t limit);

void	html_time(struct text *, int64_t ms);	/* since 1970, in UTC */
void	html_age(struct text *, int64_t ms);	/* "3 h 12 min" */
void	html_count(struct text *, int64_t);	/* "1,234,567" */

#endif
