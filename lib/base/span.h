/* Borrowed bytes: a pointer and a length travel together. */
#ifndef SPAN_H
#define SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/ascii.h"

/* `at` is NULL where there is no text at all, which is not the same as an
 * empty text. The bytes belong to somebody else and may hold NULs. */
struct span {
	const char	*at;
	size_t		 len;
};

#define SPAN_NONE	((struct span){ NULL, 0 })

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

/* Whether two texts are equal. A missing text equals an empty one. */
static inline bool
span_same(struct span a, struct span b)
{
	if (a.at == NULL || b.at == NULL)
		return a.len == 0 && b.len == 0;
	return a.len == b.len && memcmp(a.at, b.at, a.len) == 0;
}

/* A missing text instead of an empty one. */
static inline struct span
span_filled(struct span s)
{
	return s.len > 0 ? s : SPAN_NONE;
}

/* Without its first n bytes; it has as many. */
static inline struct span
span_behind(struct span s, size_t n)
{
	return (struct span){ s.at + n, s.len - n };
}

/* Takes decimal digits off the front, as a number. False: there are none, or
 * the number is above `most`. */
static inline bool
span_take_number(struct span *s, int64_t most, int64_t *n)
{
	const char *first = s->at;
	int digit;

	for (*n = 0; s->len > 0 && ascii_is_digit(s->at[0]);
	    *s = span_behind(*s, 1)) {
		digit = s->at[0] - '0';
		if (digit > most || *n > (most - digit) / 10)
			return false;
		*n = *n * 10 + digit;
	}
	return s->at != first;
}

/* ---- white space, words, lines ---- */

/* Blank, tab, CR, LF: the white space of JSON (RFC 8259) and of our files. */
static inline bool
span_is_white(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Without white space around it. */
static inline struct span
span_trimmed(struct span s)
{
	if (s.at == NULL)
		return s;
	while (s.len > 0 && span_is_white(s.at[0]))
		s = span_behind(s, 1);
	while (s.len > 0 && span_is_white(s.at[s.len - 1]))
		s.len--;
	return s;
}

/* Takes the next word off the front of a list. White space separates words,
 * and so does `separator`, which may be a blank. Of no bytes at the list's
 * end. */
static inline struct span
span_take_word(struct span *list, char separator)
{
	struct span word;

	while (list->len > 0 && (span_is_white(list->at[0]) ||
	    list->at[0] == separator))
		*list = span_behind(*list, 1);
	word = (struct span){ list->at, 0 };
	while (list->len > 0 && !span_is_white(list->at[0]) &&
	    list->at[0] != separator) {
		*list = span_behind(*list, 1);
		word.len++;
	}
	return word;
}

/* Takes the first line, and its newline, off the front of a text. Returns the
 * line without its newline. */
static inline struct span
span_take_line(struct span *text)
{
	const char *newline = text->len == 0 ? NULL :
	    memchr(text->at, '\n', text->len);
	struct span first = *text;

	if (newline != NULL)
		first.len = (size_t)(newline - text->at);
	*text = span_behind(*text, first.len + (newline != NULL));
	return first;
}

#endif
