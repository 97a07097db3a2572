#include "base/json_string.h"

#include <endian.h>
#include <stdint.h>

#include "base/ascii.h"

#define NAMED "bfnrt\"\\/"	/* behind a backslash */

/* The value of four hex digits at `i`; -1 if they are none. */
static int
hex_quad(struct span s, size_t i)
{
	int n = 0;

	for (size_t k = i; k < i + 4; k++) {
		int d = k < s.len ? ascii_hex_value(s.at[k]) : -1;

		if (d < 0)
			return -1;
		n = n << 4 | d;
	}
	return n;
}

static void
add_point(struct text *t, unsigned c)
{
	char utf8[4];
	size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

	for (size_t k = n; k-- > 1; c >>= 6)
		utf8[k] = (char)(0x80 | (c & 0x3f));
	utf8[0] = (char)(n == 1 ? c : (0xf00u >> n & 0xf0) | c);
	text_add(t, utf8, n);
}

/* The code point of the escape whose digits, behind `\u', begin at *i. If it is
 * the first half of a surrogate pair, the second half is read as well. Moves *i
 * behind it. -1 if it is wrong. */
static int
take_point(struct span s, size_t *i)
{
	int c = hex_quad(s, *i), low = -1;

	*i += 4;
	if (c >= 0xd800 && c < 0xdc00 && *i + 1 < s.len && s.at[*i] == '\\' &&
	    s.at[*i + 1] == 'u')
		low = hex_quad(s, *i + 2);
	/* cppcheck-suppress knownConditionTrueFalse; hex_quad() may set it. */
	if (low >= 0xdc00 && low < 0xe000) {
		c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
		*i += 6;
	}
	return c;
}

bool
json_string_decode(struct text *t, struct span s)
{
	static const char from[] = NAMED, to[] = "\b\f\n\r\t\"\\/";
	size_t i = 0, run;

	while (i < s.len) {
		for (run = i; i < s.len && s.at[i] != '\\'; i++)
			;
		text_add(t, s.at + run, i - run);
		if (i == s.len)
			break;
		if (++i == s.len)
			return false;
		if (s.at[i] == 'u') {
			int point;

			i++;
			if ((point = take_point(s, &i)) < 0)
				return false;
			add_point(t, point >= 0xd800 && point < 0xe000 ?
			    0xfffd : (unsigned)point);
		} else {
			const char *c = memchr(from, s.at[i], sizeof(from) - 1);

			if (c == NULL)
				return false;
			text_add(t, &to[c - from], 1);
			i++;
		}
	}
	return true;
}

/* How many of the eight bytes at `p` come before the first one that has to be
 * looked at: a control character, a quote, a backslash, or what is not ASCII.
 * Eight are compared at once, in the bytes of a word. */
static size_t
plain_run(const unsigned char *p)
{
	const uint64_t ones = UINT64_MAX / 255, highs = ones << 7;
	uint64_t v, quote, slash;

	memcpy(&v, p, sizeof(v));
	v = le64toh(v);
	quote = v ^ ones * '"';
	slash = v ^ ones * '\\';
	/* A byte below n borrows in v - n and so sets its high bit. The bytes
	 * above it may then be wrong, but only the lowest one counts. */
	v = (v | (v - ones * 0x20) | (quote - ones) | (slash - ones)) & highs;
	return v == 0 ? 8 : (size_t)__builtin_ctzll(v) / 8;
}

/* The index behind the escape at s.at[i]; 0 if it is wrong. */
static size_t
escape_end(struct span s, size_t i, bool *odd)
{
	int c;

	if (++i >= s.len)
		return 0;
	if (s.at[i] != 'u')
		return memchr(NAMED, s.at[i], sizeof(NAMED) - 1) == NULL ? 0 :
		    i + 1;
	i++;
	if ((c = take_point(s, &i)) < 0)
		return 0;
	*odd |= c >= 0x10000 && (c & 0xf800) == 0xd800;
	return i;
}

size_t
json_string_end(struct span s, size_t i, bool *odd)
{
	const unsigned char *p = (const unsigned char *)s.at;
	size_t n;

	for (i++; ; i = n) {
		do {		/* nearly all of a hook is this */
			n = i + 8 <= s.len ? plain_run(p + i) : 0;
			i += n;
		} while (n == 8);
		if (i >= s.len || p[i] < 0x20)
			return 0;
		if (p[i] == '"')
			return i + 1;
		if (p[i] == '\\')
			n = escape_end(s, i, odd);
		else if ((n = text_utf8_length(p + i, s.len - i)) > 0)
			n += i;
		if (n == 0)
			return 0;
	}
}
