#include "page/html.h"

#include "base/timestamp.h"

#define REPLACEMENT	"\xef\xbf\xbd"	/* U+FFFD */
#define INDENT_MAX	16		/* levels of JSON */

static uint32_t
html_code_point(const unsigned char *p, size_t n)
{
	uint32_t c = n == 1 ? p[0] : p[0] & (0xffu >> (n + 1));

	for (size_t i = 1; i < n; i++)
		c = c << 6 | (p[i] & 0x3f);
	return c;
}

/* XML's characters (XML 1.0, production 2), but for C1 controls and those that
 * embed or override a direction of writing. In a <bdi> these would end with
 * the element; but a statement that somebody copies into a shell must not
 * look like another one. */
static bool
html_is_shown(uint32_t c)
{
	if (c < 0x20)
		return c == '\t' || c == '\n' || c == '\r';
	return !((c >= 0x7f && c < 0xa0) || (c >= 0x202a && c <= 0x202e) ||
	    (c >= 0x2066 && c <= 0x2069) || c == 0xfffe || c == 0xffff);
}

static const char *
html_entity(unsigned char c)
{
	switch (c) {
	case '&':
		return "&amp;";
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '"':
		return "&quot;";
	case '\'':
		return "&#39;";
	default:
		return NULL;
	}
}

/* Appends the character at s.at[i], and returns the index behind it. */
static size_t
html_add_character(struct text *t, struct span s, size_t i)
{
	const unsigned char *p = (const unsigned char *)s.at + i;
	size_t n = text_utf8_length(p, s.len - i);

	if (n == 0 || !html_is_shown(html_code_point(p, n)))
		text_str(t, REPLACEMENT);
	else if (html_entity(*p) != NULL)
		text_str(t, html_entity(*p));
	else
		text_add(t, s.at + i, n);
	return i + (n == 0 ? 1 : n);
}

void
html_text(struct text *t, struct span s, size_t limit)
{
	size_t i = 0, n = 0;

	while (i < s.len && n++ < limit)
		i = html_add_character(t, s, i);
	if (i < s.len)
		text_str(t, TEXT_ELLIPSIS);
}

static void
html_new_line(struct text *t, unsigned depth)
{
	text_str(t, "\n");
	for (unsigned i = 0; i < depth && i < INDENT_MAX; i++)
		text_str(t, "  ");
}

void
html_json(struct text *t, struct span s, size_t limit)
{
	bool quoted = false, empty = false;
	unsigned depth = 0;
	size_t i = 0, n = 0;

	while (i < s.len && n++ < limit) {
		char c = s.at[i];
		bool closes = !quoted && (c == '}' || c == ']');

		if (!quoted && strchr(" \t\r\n", c) != NULL) {
			i++;
			continue;
		}
		if (closes && depth > 0)
			depth--;
		if ((closes && !empty) || (empty && !closes))
			html_new_line(t, depth);
		i = html_add_character(t, s, i);
		empty = !quoted && (c == '{' || c == '[');
		depth += empty;
		if (quoted && c == '\\' && i < s.len)
			i = html_add_character(t, s, i);
		else if (c == '"')
			quoted = !quoted;
		else if (!quoted && c == ',')
			html_new_line(t, depth);
		else if (!quoted && c == ':')
			text_str(t, " ");
	}
	if (i < s.len)
		text_str(t, TEXT_ELLIPSIS);
}

void
html_time(struct text *t, int64_t ms)
{
	struct timestamp m;

	if (!timestamp_ms(&m, ms))
		return;
	text_str(t, "<time datetime=\"");
	text_str(t, m.iso);
	text_str(t, "\">");
	text_add(t, m.iso, strlen("2026-01-02"));
	text_str(t, " ");
	text_add(t, m.iso + strlen("2026-01-02T"), strlen("03:04:05"));
	text_str(t, "</time>");
}

static void
html_add_unit(struct text *t, int64_t n, const char *unit)
{
	html_count(t, n);
	text_str(t, " ");
	text_str(t, unit);
}

void
html_age(struct text *t, int64_t ms)
{
	int64_t s = ms < 0 ? 0 : ms / 1000;

	if (s >= 86400) {
		html_add_unit(t, s / 86400, "d ");
		html_add_unit(t, s / 3600 % 24, "h");
	} else if (s >= 3600) {
		html_add_unit(t, s / 3600, "h ");
		html_add_unit(t, s / 60 % 60, "min");
	} else if (s >= 60) {
		html_add_unit(t, s / 60, "min");
	} else {
		html_add_unit(t, s, "s");
	}
}

void
html_count(struct text *t, int64_t n)
{
	if (n < 1000) {
		text_int(t, n);
		return;
	}
	html_count(t, n / 1000);
	text_str(t, n % 1000 < 10 ? ",00" : n % 1000 < 100 ? ",0" : ",");
	text_int(t, n % 1000);
}
