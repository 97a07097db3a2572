#include "json.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>

#include <json-c/json.h>
#include <json-c/printbuf.h>

#include "quoted.h"

#define INTEGER_SURE	18	/* digits, or a sign and 17: 64 bits do */

/* One pass over a document: whether it is JSON, and what json-c must be told
 * in other words. */
struct scan {
	struct span	 in;
	size_t		 i;	/* what is looked at next */
	size_t		 run;	/* up to here `out` says it all */
	struct text	 out;	/* empty while nothing had to be mended */
	bool		 odd;	/* the string has to be written anew */
};

static void
mend(struct scan *s, size_t at, size_t len, struct span with)
{
	text_add(&s->out, s->in.at + s->run, at - s->run);
	text_span(&s->out, with);
	s->run = at + len;
}

/* json-c before 0.19 loses an escaped pair whose character ends in d800 to dfff
 * (U+2D800, an ideograph): it takes it for a surrogate, and U+FFFD is left.
 * The string, from its quote to what is next, is written anew: so seldom that
 * it is kept out of skip_string()'s way. */
__attribute__((noinline))
static void
write_anew(struct scan *s, size_t from)
{
	struct text says = { 0 }, anew = { 0 };
	bool good = quoted_text(&says, (struct span){ s->in.at + from + 1,
	    s->i - from - 2 });

	text_json(&anew, text_view(&says));
	mend(s, from, s->i - from, text_view(&anew));
	s->out.broken |= !good || says.broken || anew.broken;
	text_release(&says);
	text_release(&anew);
	s->odd = false;
}

static bool
skip_string(struct scan *s)
{
	size_t from = s->i;

	s->i = quoted_end(s->in, from, &s->odd);
	if (s->odd && s->i > 0)
		write_anew(s, from);
	return s->i > 0;
}

/* Passes digits; whether there was one. */
static bool
skip_digits(struct scan *s)
{
	size_t from = s->i, i = from;

	while (i < s->in.len && s->in.at[i] >= '0' && s->in.at[i] <= '9')
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
		mend(s, s->i, 0, span_of("."));
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
peek(struct scan *s)
{
	while (s->i < s->in.len) {
		char c = s->in.at[s->i];

		if (c != ' ' && c != '\t' && c != '\n' && c != '\r')
			return c;
		s->i++;
	}
	return '\0';
}

/* Whether all of it is one JSON object. json-c is not asked: what its strict
 * mode refuses differs from version to version. */
static bool
scan(struct scan *s)
{
	/* From MEMBER on, what is open may be closed. */
	enum { NAME, VALUE, MEMBER, ELEMENT, MORE } next = VALUE;
	char c, closing[JSON_DEPTH + 1];
	size_t depth = 0;

	if (peek(s) != '{')
		return false;
	do {
		c = peek(s);
		if (next >= MEMBER && c == closing[depth]) {
			s->i++, depth--;
			next = MORE;
		} else if (next == MORE) {
			s->i++;
			if (c != ',')
				return false;
			next = closing[depth] == '}' ? NAME : VALUE;
		} else if (next == NAME || next == MEMBER) {
			if (c != '"' || !skip_string(s) || peek(s) != ':')
				return false;
			s->i++;
			next = VALUE;
		} else if (c == '{' || c == '[') {
			if (depth == JSON_DEPTH)
				return false;
			s->i++;
			closing[++depth] = c == '{' ? '}' : ']';
			next = c == '{' ? MEMBER : ELEMENT;
		} else {
			if (!skip_scalar(s, c))
				return false;
			next = MORE;
		}
	} while (depth > 0);
	return peek(s) == '\0' && s->i == s->in.len;
}

/* The text that a float came with, or JavaScript's; an integer's that has a
 * dot behind it. */
static struct span
kept(struct json_object *node)
{
	return span_of(json_object_get_userdata(node));
}

static struct json
wrap(struct json_object *node)
{
	static const enum json_kind kinds[] = {
		[json_type_null] = JSON_NULL,
		[json_type_boolean] = JSON_BOOL,
		[json_type_double] = JSON_FLOAT,
		[json_type_int] = JSON_INT,
		[json_type_object] = JSON_OBJECT,
		[json_type_array] = JSON_ARRAY,
		[json_type_string] = JSON_STRING,
	};
	struct json v = { kinds[json_object_get_type(node)], node };
	struct span text;

	if (v.kind == JSON_FLOAT && (text = kept(node)).len > 0 &&
	    text.at[text.len - 1] == '.')
		v.kind = JSON_INT;
	return v;
}

/* The tree of what is known to be JSON; NULL without memory, which json-c calls
 * an error since 0.17 only. */
static struct json_object *
tree(struct span s)
{
	/* It counts what may be in the innermost object or array, too. */
	struct json_tokener *tok = json_tokener_new_ex(JSON_DEPTH + 1);
	struct json_object *node = NULL;

	if (tok == NULL)
		return NULL;
	/* It does not look whether this buffer, the longest string's, grows:
	 * a string would be cut. */
	if (printbuf_memset(tok->pb, 0, 0, (int)s.len) == 0) {
		printbuf_reset(tok->pb);
		node = json_tokener_parse_ex(tok, s.at, (int)s.len);
	}
	json_tokener_free(tok);
	if (!json_object_is_type(node, json_type_object)) {
		json_object_put(node);
		return NULL;
	}
	return node;
}

int
json_open(struct json *root, struct span bytes)
{
	struct scan s = { .in = bytes };
	struct json_object *node = NULL;
	bool good;

	*root = (struct json){ JSON_MISSING, NULL };
	/* json-c counts in int; mending adds a byte to twenty at the most. */
	good = bytes.len <= INT_MAX / 2 && scan(&s);
	if (good && s.run > 0)
		mend(&s, bytes.len, 0, (struct span){ NULL, 0 });
	if (good && !s.out.broken)
		node = tree(s.run > 0 ? text_view(&s.out) : bytes);
	text_release(&s.out);
	if (node != NULL)
		*root = wrap(node);
	return node != NULL ? 0 : good ? -1 : 1;
}

void
json_close(struct json *root)
{
	json_object_put(root->node);
	*root = (struct json){ JSON_MISSING, NULL };
}

struct json
json_get(struct json v, const char *name)
{
	struct json_object *node;

	if (v.kind != JSON_OBJECT ||
	    !json_object_object_get_ex(v.node, name, &node))
		return (struct json){ JSON_MISSING, NULL };
	return wrap(node);
}

struct json
json_at(struct json v, size_t i)
{
	if (i >= json_count(v))
		return (struct json){ JSON_MISSING, NULL };
	return wrap(json_object_array_get_idx(v.node, i));
}

size_t
json_count(struct json v)
{
	return v.kind == JSON_ARRAY ? json_object_array_length(v.node) : 0;
}

/* json-c keeps the text a float came with; JavaScript's takes its place, once,
 * and lives as long as the node. */
static struct span
float_text(struct json v)
{
	const char *now = json_object_get_userdata(v.node);
	struct text t = { 0 };

	text_number(&t, json_object_get_double(v.node));
	text_add(&t, "", 1);
	if (t.broken || (now != NULL && strcmp(now, t.at) == 0)) {
		text_release(&t);
		return now != NULL ? span_of(now) : (struct span){ NULL, 0 };
	}
	json_object_set_serializer(v.node,
	    json_object_userdata_to_json_string, t.at,
	    json_object_free_userdata);
	return span_of(t.at);
}

struct span
json_string(struct json v)
{
	if (v.kind != JSON_STRING)
		return (struct span){ NULL, 0 };
	return (struct span){ json_object_get_string(v.node),
	    (size_t)json_object_get_string_len(v.node) };
}

struct span
json_source(struct json v)
{
	return v.kind == JSON_FLOAT ? span_of(json_object_to_json_string_ext(
	    v.node, JSON_C_TO_STRING_PLAIN)) : json_scalar(v);
}

struct span
json_scalar(struct json v)
{
	switch (v.kind) {
	case JSON_STRING:
		return json_string(v);
	case JSON_INT:
		if (json_object_is_type(v.node, json_type_double))
			return (struct span){ kept(v.node).at,
			    kept(v.node).len - 1 };
		return span_of(json_object_to_json_string_ext(v.node,
		    JSON_C_TO_STRING_PLAIN));
	case JSON_FLOAT:
		return float_text(v);
	case JSON_BOOL:
		return span_of(json_object_get_boolean(v.node) ? "true" :
		    "false");
	case JSON_MISSING:
	case JSON_NULL:
	case JSON_ARRAY:
	case JSON_OBJECT:
		break;
	}
	return (struct span){ NULL, 0 };
}

struct span
json_get_scalar(struct json v, const char *name)
{
	return json_scalar(json_get(v, name));
}

bool
json_truthy(struct json v)
{
	switch (v.kind) {
	case JSON_STRING:
		return json_object_get_string_len(v.node) > 0;
	case JSON_INT:
	case JSON_FLOAT:
		return json_object_get_double(v.node) != 0;
	case JSON_BOOL:
		return json_object_get_boolean(v.node);
	case JSON_ARRAY:
	case JSON_OBJECT:
		return true;
	case JSON_MISSING:
	case JSON_NULL:
		break;
	}
	return false;
}

static void
write_ascii(struct text *t, struct span s)
{
	struct text quoted = { 0 };
	size_t i, n;

	text_json(&quoted, s);
	for (i = 0; i < quoted.len; i += n) {
		const unsigned char *p = (unsigned char *)quoted.at + i;
		uint32_t c = p[0];
		char buf[16];

		n = text_utf8_length(p, quoted.len - i);
		if (n <= 1) {		/* ASCII: 1, never 0 from json-c */
			text_add(t, quoted.at + i, n = 1);
			continue;
		}
		c &= 0xffu >> (n + 1);
		for (size_t k = 1; k < n; k++)
			c = c << 6 | (p[k] & 0x3f);
		if (c < 0x10000)
			snprintf(buf, sizeof(buf), "\\u%04x", c);
		else
			snprintf(buf, sizeof(buf), "\\u%04x\\u%04x",
			    0xd800 + ((c - 0x10000) >> 10),
			    0xdc00 + ((c - 0x10000) & 0x3ff));
		text_str(t, buf);
	}
	t->broken |= quoted.broken;
	text_release(&quoted);
}

static void
write_string(struct text *t, struct span s, enum json_style style)
{
	if (style == JSON_COMPACT_UTF8)
		text_json(t, s);
	else
		write_ascii(t, s);
}

static void
write_float(struct text *t, struct json v, enum json_style style)
{
	double d = json_object_get_double(v.node);

	if (style != JSON_COMPACT_UTF8)
		text_span(t, json_source(v));
	else if (isinf(d))
		text_str(t, "null");
	else
		text_number(t, d);
}

static void
write_members(struct text *t, struct json v, enum json_style style)
{
	const char *sep = "";

	/* The names come from json-c's own iterator: insertion order. */
	json_object_object_foreach(v.node, name, child) {
		text_str(t, sep);
		write_string(t, span_of(name), style);
		text_str(t, style == JSON_SPACED_ASCII ? ": " : ":");
		json_write(t, wrap(child), style);
		sep = style == JSON_SPACED_ASCII ? ", " : ",";
	}
}

void
json_write(struct text *t, struct json v, enum json_style style)
{
	if (v.kind == JSON_OBJECT) {
		text_str(t, "{");
		write_members(t, v, style);
		text_str(t, "}");
	} else if (v.kind == JSON_ARRAY) {
		text_str(t, "[");
		for (size_t i = 0; i < json_count(v); i++) {
			if (i > 0)
				text_str(t, style == JSON_SPACED_ASCII ?
				    ", " : ",");
			json_write(t, json_at(v, i), style);
		}
		text_str(t, "]");
	} else if (v.kind == JSON_STRING) {
		write_string(t, json_string(v), style);
	} else if (v.kind == JSON_FLOAT) {
		write_float(t, v, style);
	} else if (v.kind == JSON_NULL) {
		text_str(t, "null");
	} else {
		text_span(t, json_scalar(v));
	}
}
