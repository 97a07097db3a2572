/* Lines of an observation's body, in Markdown. */
#ifndef BODY_LINE_H
#define BODY_LINE_H

#include "base/text.h"

#define BODY_MAX	65535	/* bytes */
#define MESSAGE_MAX	8192	/* bytes of a message, and of errorValue */

/* Starts a line; nothing stands before the first one. */
void	body_line_start(struct text *);

/* Adds the line `label value behind` where there is a value, if only an empty
 * one. A label that begins with a line break leaves an empty line before. */
void	body_line_add(struct text *, const char *label, struct span value,
	    const char *behind);

/* The same where the value is not empty. */
void body_line_add_filled(
    struct text *, const char *label, struct span value, const char *behind);

/* Adds the line `label a: b`, or with what is there of the two. */
void	body_line_add_pair(struct text *, const char *label, struct span a,
	    struct span b);

/* Cuts to so many bytes, of which the last are "…" then. */
void	body_line_cut(struct text *, size_t limit);

#endif
