#include "base/text.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/ascii.h"

#define TEXT_FIRST	256	/* bytes of the first allocation */
#define DOUBLE_DIGITS	17	/* enough for every double */
#define POINT_FIRST	(-5)	/* without an exponent: 0.000001 ... */
#define POINT_LAST	21	/* ... to 10^21, as JavaScript does */

static bool
text_reserve(struct text *t, size_t more)
{
	size_t size;
	char *at;

	if (t->broken || more > SIZE_MAX / 4 || t->len > SIZE_MAX / 4) {
		t->broken = true;
		return false;
	}
	if (t->size - t->len >= more)
		return true;
	size = t->size < TEXT_FIRST ? TEXT_FIRST : t->size * 2;
	if (size < t->len + more)
		size = t->len + more;
	if ((at = realloc(t->at, size)) == NULL) {
		t->broken = true;
		return false;
	}
	t->at = at;
	t->size = size;
	return true;
}

void
text_add(struct text *t, const char *at, size_t len)
{
	if (len == 0 || !text_reserve(t, len))
		return;
	memcpy(t->at + t->len, at, len);
	t->len += len;
}

void
text_span(struct text *t, struct span s)
{
	text_add(t, s.at, s.len);
}

void
text_str(struct text *t, const char *s)
{
	text_add(t, s, strlen(s));
}

void
text_int(struct text *t, int64_t n)
{
	char buf[32];

	snprintf(buf, sizeof(buf), "%" PRId64, n);
	text_str(t, buf);
}

/* Writes the fewest digits from which `d` can be read again. Returns how many
 * of them stand before the decimal point; negative for zeros behind the point.
 * */
static int
shortest_digits(char digits[DOUBLE_DIGITS + 1], double d)
{
	char buf[DOUBLE_DIGITS + 16], *e;
	int n = 0, precision = 0;

	do {
		snprintf(buf, sizeof(buf), "%.*e", precision, d);
	} while (strtod(buf, NULL) != d && ++precision < DOUBLE_DIGITS);
	for (e = buf; *e != 'e'; e++)
		if (ascii_is_digit(*e))
			digits[n++] = *e;
	digits[n] = '\0';
	return (int)strtol(e + 1, NULL, 10) + 1;
}

void
text_number(struct text *t, double d)
{
	char digits[DOUBLE_DIGITS + 1];
	int n, point;

	if (d < 0)
		text_str(t, "-");
	if (isinf(d) || isnan(d)) {
		text_str(t, isnan(d) ? "NaN" : "Infinity");
		return;
	}
	point = shortest_digits(digits, fabs(d));
	n = (int)strlen(digits);
	if (point > POINT_LAST || point < POINT_FIRST) {
		text_add(t, digits, 1);
		text_str(t, n > 1 ? "." : "");
		text_str(t, digits + 1);
		text_str(t, point > 0 ? "e+" : "e");
		text_int(t, point - 1);
		return;
	}
	if (point <= 0)
		text_add(t, "0.000000", (size_t)(2 - point));
	for (int i = 0; i < n || i < point; i++) {
		if (i > 0 && i == point)
			text_str(t, ".");
		text_add(t, i < n ? &digits[i] : "0", 1);
	}
}

static void
text_add_escape(struct text *t, unsigned char c)
{
	static const char from[] = "\b\t\n\f\r\"\\", to[] = "btnfr\"\\";
	const char *named = memchr(from, c, sizeof(from) - 1);
	char buf[8];

	if (named != NULL)
		snprintf(buf, sizeof(buf), "\\%c", to[named - from]);
	else
		snprintf(buf, sizeof(buf), "\\u%04x", c);
	text_str(t, buf);
}

void
text_escaped(struct text *t, struct span s)
{
	size_t i, run = 0;

	for (i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.at[i];

		if (c >= 0x20 && c != '"' && c != '\\')
			continue;
		text_add(t, s.at + run, i - run);
		text_add_escape(t, c);
		run = i + 1;
	}
	if (s.len > run)
		text_add(t, s.at + run, s.len - run);
}

void
text_json(struct text *t, struct span s)
{
	text_add(t, "\"", 1);
	text_escaped(t, s);
	text_add(t, "\"", 1);
}

size_t
text_utf8_length(const unsigned char *p, size_t len)
{
	size_t i, n;
	uint32_t c, least;

	if (p[0] < 0x80)
		return 1;
	if (p[0] >= 0xc2 && p[0] < 0xe0)
		n = 2, c = p[0] & 0x1f, least = 0x80;
	else if (p[0] >= 0xe0 && p[0] < 0xf0)
		n = 3, c = p[0] & 0x0f, least = 0x800;
	else if (p[0] >= 0xf0 && p[0] < 0xf5)
		n = 4, c = p[0] & 0x07, least = 0x10000;
	else
		return 0;
	if (len < n)
		return 0;
	for (i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	return c < least || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ? 0 : n;
}

static bool
inside_character(struct span s, size_t i)
{
	return i < s.len && ((unsigned char)s.at[i] & 0xc0) == 0x80;
}

size_t
text_fit_bytes(struct span s, size_t limit)
{
	size_t end;

	if (s.len <= limit)
		return s.len;
	end = limit - (sizeof(TEXT_ELLIPSIS) - 1);
	while (end > 0 && inside_character(s, end))
		end--;
	return end;
}

size_t
text_fit_points(struct span s, size_t limit)
{
	size_t i, points = 0, cut = 0;

	for (i = 0; i < s.len; i++) {
		if (inside_character(s, i))
			continue;
		if (points == limit - 1)
			cut = i;
		if (++points > limit)
			return cut;
	}
	return s.len;
}

void
text_release(struct text *t)
{
	free(t->at);
	*t = (struct text){ 0 };
}
