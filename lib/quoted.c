#include "quoted.h"

static int
hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' :
	    (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 :
	    -1;
}

/* The four digits at `i`; -1 if they are none. */
static int
hex4(struct span s, size_t i)
{
	int n = 0;

	for (size_t k = i; k < i + 4; k++) {
		int d = k < s.len ? hex_digit(s.at[k]) : -1;

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

/* What stands behind a backslash and a u at `i`; a surrogate without its other
 * half becomes U+FFFD. Returns where it ends, 0 if it is wrong. */
static size_t
unescape_point(struct text *t, struct span s, size_t i)
{
	int c = hex4(s, i), low = -1;

	if (c < 0)
		return 0;
	i += 4;
	if (c >= 0xd800 && c < 0xdc00 && i + 1 < s.len && s.at[i] == '\\' &&
	    s.at[i + 1] == 'u')
		low = hex4(s, i + 2);
	/* cppcheck-suppress knownConditionTrueFalse; hex4() may set it. */
	if (low >= 0xdc00 && low < 0xe000) {
		c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
		i += 6;
	}
	add_point(t, c >= 0xd800 && c < 0xe000 ? 0xfffd : (unsigned)c);
	return i;
}

bool
quoted_text(struct text *t, struct span s)
{
	static const char from[] = "bfnrt\"\\/", to[] = "\b\f\n\r\t\"\\/";
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
			if ((i = unescape_point(t, s, i + 1)) == 0)
				return false;
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
