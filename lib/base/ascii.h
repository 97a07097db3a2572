/* Characters of ASCII, whatever the locale: <ctype.h> asks the locale. */
#ifndef ASCII_H
#define ASCII_H

#include <stdbool.h>

static inline bool
ascii_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static inline char
ascii_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static inline bool
ascii_is_letter(char c)
{
	return ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z';
}

/* The value of a hex digit of either case; -1 for any other character. */
static inline int
ascii_hex_value(char c)
{
	if (ascii_is_digit(c))
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* What the names of resources and actions are made of: [A-Za-z0-9_.-]. */
static inline bool
ascii_is_name(char c)
{
	return ascii_is_letter(c) || ascii_is_digit(c) || c == '_' ||
	    c == '.' || c == '-';
}

#endif
