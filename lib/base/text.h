/* A text that grows: what the observation and the answers are written to. */
#ifndef TEXT_H
#define TEXT_H

#include <stdint.h>

#include "base/span.h"

/* Start from { 0 }. When memory runs out, `broken` is set and stays set, and
 * everything added afterwards is dropped: ask once, at the end. `at` is not
 * NUL-terminated. */
struct text {
	char	*at;
	size_t	 len;
	size_t	 size;
	bool	 broken;
};

/* The bytes must not be the text's own: they may move. */
void	text_add(struct text *, const char *, size_t);
void	text_span(struct text *, struct span);
void	text_str(struct text *, const char *);
void	text_int(struct text *, int64_t);

/* Adds a number as JavaScript prints it: the fewest digits that say it, no
 * exponent from 1e-6 up to 1e21, "Infinity". */
void	text_number(struct text *, double);

/* Adds `s` as a JSON string with its quotes, escaped as JSON.stringify does:
 * \b \t \n \f \r \" \\ by name, other controls as \u00xx, the rest as it is. */
void	text_json(struct text *, struct span s);
void	text_escaped(struct text *, struct span s);	/* without quotes */

/* The length of the character at `p`, of which `len` bytes are there; 0 if it
 * is not valid UTF-8 (RFC 3629). */
size_t	text_utf8_length(const unsigned char *p, size_t len);

/* Where `s` must end so that no more than `limit` bytes (or code points) are
 * left, counting the ellipsis U+2026 that takes the place of what is cut. The
 * result is `s.len` when nothing needs to be cut; otherwise a cut on the edge
 * of a character, behind which the caller adds the ellipsis. `s` is UTF-8. */
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
