#include "base/json_scan.h"

#include "base/ascii.h"
#include "base/json_string.h"

#define INTEGER_SURE	18	/* digits, or a sign and 17: 64 bits do */

/* One pass over a document: whether it is JSON, and what json-c must be told
 * in other words. */
struct scan {
	struct span	 in;
	size_t		 i;	/* what is looked at next */
	size_t		 run;	/* up to here `out` says it all */
	struct text	*out;	/* empty while nothing had to be mended */
	bool		 odd;	/* the string has to be written anew */
	/* What is left out: where it begins, and how deep; 0: nothing. */
	size_t		 left_out, left_depth;
};

static void
scan_mend(struct scan *s, size_t at, size_t len, struct span with)
{
	if (s->left_depth > 0)		/* as a whole, at its end */
		return;
	text_add(s->out, s->in.at + s->run, at - s->run);
	text_span(s->out, with);
	s->run = at + len;
}

/* json-c before 0.19 loses an escaped pair whose character ends in d800 to dfff
 * (U+2D800, an ideograph): it takes it for a surrogate, and U+FFFD is left.
 * The string, from its quote to what is next, is written anew: so seldom that
 * it is kept out of skip_string()'s way. */
__attribute__((noinline))
static void
scan_write_anew(struct scan *s, size_t from)
{
	struct text says = { 0 }, anew = { 0 };
	bool good = json_string_decode(
	    &says, (struct span){s->in.at + from + 1, s->i - from - 2});

	text_json(&anew, text_view(&says));
	scan_mend(s, from, s->i - from, text_view(&anew));
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

/* -?(0|[1-9][0-9]*)(.[0-9]+)?([eE][+-]?[0-9]+)?
 * An integer that may have more than 64 bits gets a dot behind it: json-c
 * then keeps its digits, as those of a float. No JSON ends so. */
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
		scan_mend(s, s->i, 0, span_of("."));
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

/* Passes a value that begins with c, and neither opens nor closes. */
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

/* Passes white space; the byte that is next, NUL at the end: it opens, closes
 * and separates nothing. */
static char
scan_peek(struct scan *s)
{
	while (s->i < s->in.len && span_is_white(s->in.at[s->i]))
		s->i++;
	return s->i < s->in.len ? s->in.at[s->i] : '\0';
}

/* Whether the object or list behind this name is to be left out. */
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

/* json-c is not asked: what its strict mode refuses differs from version to
 * version. */
static bool
scan_document(struct scan *s, const char *const *but)
{
	/* From MEMBER on, what is open may be closed. */
	enum { NAME, VALUE, MEMBER, ELEMENT, MORE } next = VALUE;
	char c, closing[JSON_DEPTH + 1];
	size_t depth = 0, name = 0, end = 0;
	bool named = false;		/* the value that comes is a member */

	if (scan_peek(s) != '{')
		return false;
	do {
		c = scan_peek(s);
		if (next >= MEMBER && c == closing[depth]) {
			s->i++, depth--;
			next = MORE;
			if (depth + 1 == s->left_depth) {
				s->left_depth = 0;
				scan_mend(s, s->left_out, s->i - s->left_out,
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
		scan_mend(&s, in.len, 0, (struct span){ NULL, 0 });
	return true;
}
