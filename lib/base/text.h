/* A text that grows: observations, answers and files are written to one. */
#ifndef TEXT_H
#define TEXT_H

#include <stdint.h>

#include "base/span.h"

/* Start from { 0 }. When memory runs out, `broken` is set and stays set, and
 * what is added afterwards is dropped: the caller checks once, at the end. `at`
 * is not NUL-terminated. */
struct text {
	char	*at;
	size_t	 len;
	size_t	 size;
	bool	 broken;
};

/* These append. The bytes must not be the text's own: those may move. */
void	text_add(struct text *, const char *, size_t);
void	text_span(struct text *, struct span);
void	text_str(struct text *, const char *);
void	text_int(struct text *, int64_t);

/* Appends a number as JavaScript prints it (ECMAScript, Number::toString): the
 * fewest digits from which it can be read again, no exponent from 1e-6 up to
 * 1e21, "Infinity". */
void	text_number(struct text *, double);

/* Appends `s` as a JSON string, with its quotes and without, and escapes it as
 * JSON.stringify() does: \b \t \n \f \r \" \\ by name, other control characters
 * as \u00xx, the rest as it is. */
void	text_json(struct text *, struct span s);
void	text_escaped(struct text *, struct span s);

/* The number of bytes of the character at `p`, where `len` bytes are; 0 if it
 * is not valid UTF-8 (RFC 3629). */
size_t	text_utf8_length(const unsigned char *p, size_t len);

/* How many bytes of `s`, which is UTF-8, to keep so that it has at most `limit`
 * bytes (or code points) together with the ellipsis U+2026, which the caller
 * appends to a text that is cut. `s.len` if nothing has to be cut. A cut is at
 * the edge of a character. */
size_t	text_fit_bytes(struct span s, size_t limit);
size_t	text_fit_points(struct span s, size_t limit);
#define TEXT_ELLIPSIS	"\xe2\x80\xa6"

/* Frees the bytes and starts anew. */
void	text_release(struct text *);

static inline struct span
text_view(const struct text *t)		/* until the next call on t */
{
	return (struct span){ t->at, t->len };
}

#endif
