#include "base/json_scan.h"

#include "base/ascii.h"
#include "base/json_string.h"

#define INTEGER_SURE	18	/* digits, or a sign and 17: 64 bits do */

/* One pass over a document: the check, and the text that json-c shall parse
 * instead. */
struct scan {
	struct span	 in;
	size_t		 i;	/* of the next byte */
	size_t		 run;	/* `out` covers what is before this */
	struct text	*out;	/* empty while nothing had to be replaced */
	bool		 odd;	/* the string has to be written anew */
	/* The object or array that is being left out: where it begins, and at
	 * what depth; 0 if there is none. */
	size_t		 left_out, left_depth;
};

/* Replaces `len` bytes of the document, at `at`, for json-c. */
static void
scan_replace(struct scan *s, size_t at, size_t len, struct span with)
{
	if (s->left_depth > 0)		/* all of it is replaced, at its end */
		return;
	text_add(s->out, s->in.at + s->run, at - s->run);
	text_span(s->out, with);
	s->run = at + len;
}

/* Writes the string from its quote at `from` up to s->i anew, without escapes.
 * json-c before 0.19 takes an escaped pair whose last 16 bits are d800 to dfff
 * (as U+2D800, an ideograph) for a surrogate, and makes it U+FFFD. It is so
 * rare that it is not inlined into skip_string(). */
__attribute__((noinline))
static void
scan_write_anew(struct scan *s, size_t from)
{
	struct text says = { 0 }, anew = { 0 };
	bool good = json_string_decode(
	    &says, (struct span){s->in.at + from + 1, s->i - from - 2});

	text_json(&anew, text_view(&says));
	scan_replace(s, from, s->i - from, text_view(&anew));
	s->out->broken |= !good || says.broken || anew.broken;
	text_release(&says);
	text_release(&anew);
	s->odd = false;
}

static bool
skip_string(struct scan *s)
{
	size_t from = s->i;

	s->i = json_string_end(s->in, from, &s->odd);
	if (s->odd && s->i > 0)
		scan_write_anew(s, from);
	return s->i > 0;
}

/* Passes digits; whether there was one. */
static bool
skip_digits(struct scan *s)
{
	size_t from = s->i, i = from;

	while (i < s->in.len && ascii_is_digit(s->in.at[i]))
		i++;
	s->i = i;
	return i > from;
}

/* Passes a byte if it is one of two. */
static bool
skip_one_of(struct scan *s, const char *a)
{
	bool is = s->i < s->in.len && (s->in.at[s->i] == a[0] ||
	    s->in.at[s->i] == a[1]);

	s->i += is;
	return is;
}

/* Passes -?(0|[1-9][0-9]*)(.[0-9]+)?([eE][+-]?[0-9]+)?
 * An integer that may have more than 64 bits gets a dot behind it: json-c then
 * keeps its digits, as it does for floats. No number of a document ends with a
 * dot, so that json.c can tell such integers. */
static bool
skip_number(struct scan *s)
{
	size_t from = s->i;
	bool whole = true;

	skip_one_of(s, "--");
	if (!skip_one_of(s, "00") && !skip_digits(s))
		return false;
	if (skip_one_of(s, "..")) {
		whole = false;
		if (!skip_digits(s))
			return false;
	}
	if (skip_one_of(s, "eE")) {
		whole = false;
		skip_one_of(s, "+-");
		if (!skip_digits(s))
			return false;
	}
	if (whole && s->i - from > INTEGER_SURE)
		scan_replace(s, s->i, 0, span_of("."));
	return true;
}

static bool
skip_word(struct scan *s, const char *word, size_t n)
{
	bool is = s->in.len - s->i >= n &&
	    memcmp(s->in.at + s->i, word, n) == 0;

	s->i += is ? n : 0;
	return is;
}

/* Passes a string, number, true, false or null, which begins with c. */
static bool
skip_scalar(struct scan *s, char c)
{
	switch (c) {
	case '"':
		return skip_string(s);
	case 't':
		return skip_word(s, "true", 4);
	case 'f':
		return skip_word(s, "false", 5);
	case 'n':
		return skip_word(s, "null", 4);
	default:
		return skip_number(s);
	}
}

/* Passes white space. Returns the next byte, NUL at the end of the document. */
static char
scan_peek(struct scan *s)
{
	while (s->i < s->in.len && span_is_white(s->in.at[s->i]))
		s->i++;
	return s->i < s->in.len ? s->in.at[s->i] : '\0';
}

/* Whether the object or array behind the name, whose string is at `name` and
 * ends before `end`, is to be left out. */
static bool
is_left_out(const struct scan *s, size_t name, size_t end,
    const char *const *but)
{
	/* Without its quotes, as it was sent. */
	struct span is = { s->in.at + name + 1, end - name - 2 };

	while (*but != NULL && !span_is(is, *but))
		but++;
	return *but != NULL;
}

/* A pushdown automaton over the grammar of RFC 8259. json-c's strict mode is
 * not enough: what it refuses differs from version to version. */
static bool
scan_document(struct scan *s, const char *const *but)
{
	/* What may come next: a member's name; a value; after an opening
	 * bracket, its closing one or a name, or a value; after a value, the
	 * closing bracket or a comma. */
	enum { NAME, VALUE, MEMBER, ELEMENT, MORE } next = VALUE;
	char c, closing[JSON_DEPTH + 1];
	size_t depth = 0, name = 0, end = 0;
	bool named = false;		/* the next value is a member's */

	if (scan_peek(s) != '{')
		return false;
	do {
		c = scan_peek(s);
		if (next >= MEMBER && c == closing[depth]) {
			s->i++, depth--;
			next = MORE;
			if (depth + 1 == s->left_depth) {
				s->left_depth = 0;
				scan_replace(s, s->left_out, s->i - s->left_out,
				    span_of("null"));
			}
		} else if (next == MORE) {
			s->i++;
			if (c != ',')
				return false;
			next = closing[depth] == '}' ? NAME : VALUE;
		} else if (next == NAME || next == MEMBER) {
			name = s->i;
			if (c != '"' || !skip_string(s))
				return false;
			end = s->i;
			if (scan_peek(s) != ':')
				return false;
			s->i++;
			named = true;
			next = VALUE;
		} else if (c == '{' || c == '[') {
			if (depth == JSON_DEPTH)
				return false;
			if (named && s->left_depth == 0 &&
			    is_left_out(s, name, end, but)) {
				s->left_out = s->i;
				s->left_depth = depth + 1;
			}
			named = false;
			s->i++;
			closing[++depth] = c == '{' ? '}' : ']';
			next = c == '{' ? MEMBER : ELEMENT;
		} else {
			named = false;
			if (!skip_scalar(s, c))
				return false;
			next = MORE;
		}
	} while (depth > 0);
	return scan_peek(s) == '\0' && s->i == s->in.len;
}

bool
json_scan(struct text *out, struct span in, const char *const *but)
{
	struct scan s = { .in = in, .out = out };

	if (!scan_document(&s, but))
		return false;
	if (s.run > 0)
		scan_replace(&s, in.len, 0, SPAN_NONE);
	return true;
}
