/* Lines of an observation's body, in Markdown. */
#ifndef BODY_LINE_H
#define BODY_LINE_H

#include "base/json.h"

#define BODY_MAX	65535	/* bytes of a body */
#define MESSAGE_MAX	8192	/* bytes of a message, and of errorValue */

/* Starts a line: adds a line break, unless the text is still empty. */
void	body_line_start(struct text *);

/* Adds the line LABEL VALUE BEHIND. A value of no bytes gives a line, a
 * missing value ({ NULL, 0 }) gives none. A label that begins with a line
 * break leaves an empty line before the line. */
void	body_line_add(struct text *, const char *label, struct span value,
	    const char *behind);

/* The same, but a value of no bytes gives no line either. */
void	body_line_add_filled(struct text *, const char *label,
	    struct span value, const char *behind);

/* Adds the line LABEL VALUE for the text of an object's member, if the text is
 * not empty. */
void	body_line_add_member(struct text *, const char *label, struct json,
	    const char *name);

/* Adds the line LABEL A: B. If one of the two is empty, the line has the other
 * one alone; if both are empty, there is no line. */
void	body_line_add_pair(struct text *, const char *label, struct span a,
	    struct span b);

/* Cuts the text to `limit` bytes at the most, the edge of a character. A text
 * that was cut ends with "…", which counts. */
void	body_line_cut(struct text *, size_t limit);

#endif
