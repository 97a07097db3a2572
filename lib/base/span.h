/* Borrowed bytes: a pointer and a length travel together. */
#ifndef SPAN_H
#define SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* `at` is NULL where there is nothing at all, which is not the same as an
 * empty text. The bytes belong to somebody else and may hold NULs. */
struct span {
	const char	*at;
	size_t		 len;
};

static inline struct span
span_of(const char *s)
{
	return (struct span){ s, s == NULL ? 0 : strlen(s) };
}

static inline bool
span_is(struct span a, const char *s)
{
	return a.at != NULL && a.len == strlen(s) &&
	    memcmp(a.at, s, a.len) == 0;
}

/* Whether two texts are equal; none is as good as an empty one. */
static inline bool
span_same(struct span a, struct span b)
{
	if (a.at == NULL || b.at == NULL)
		return a.len == 0 && b.len == 0;
	return a.len == b.len && memcmp(a.at, b.at, a.len) == 0;
}

/* Without white space (blank, tab, CR, LF) around it. */
static inline struct span
span_trimmed(struct span s)
{
	static const char white[] = { ' ', '\t', '\r', '\n' };

	if (s.at == NULL)
		return s;
	while (s.len > 0 && memchr(white, s.at[0], sizeof(white)) != NULL) {
		s.at++;
		s.len--;
	}
	while (s.len > 0 &&
	    memchr(white, s.at[s.len - 1], sizeof(white)) != NULL)
		s.len--;
	return s;
}

/* Nothing instead of an empty text. */
static inline struct span
span_filled(struct span s)
{
	return s.len > 0 ? s : (struct span){ NULL, 0 };
}

#endif
