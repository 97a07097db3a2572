/* What others wrote, as HTML that is also XML: nothing in it is markup. */
#ifndef HTML_H
#define HTML_H

#include "base/text.h"

/* Appends at most `limit` characters of it, and an ellipsis for the rest. What
 * is no character, no UTF-8, or turns the direction of what stands around it,
 * becomes U+FFFD. Safe as content and in a quoted attribute. */
void	html_text(struct text *, struct span, size_t limit);

/* The same with valid JSON, a member a line. */
void	html_json(struct text *, struct span, size_t limit);

void	html_time(struct text *, int64_t ms);	/* since 1970; <time> */
void	html_age(struct text *, int64_t ms);	/* "3 h 12 min" */
void	html_count(struct text *, int64_t);	/* "1,234,567" */

#endif
