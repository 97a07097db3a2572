#include "json.h"

#include <limits.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>

#include <json-c/json.h>
#include <json-c/printbuf.h>

/* Whether eight bytes are all ASCII that means nothing within a string: no
 * control, quote or backslash. */
static bool
plain8(const unsigned char *p)
{
	const uint64_t ones = UINT64_MAX / 255, highs = ones << 7;
	uint64_t v, quote, slash;

	memcpy(&v, p, sizeof(v));
	quote = v ^ ones * '"';
	slash = v ^ ones * '\\';
	/* Without a high bit in v, a byte below n borrows in v - n. */
	return ((v | (v - ones * 0x20) | (quote - ones) | (slash - ones)) &
	    highs) == 0;
}

/* Skips a string whose opening quote is at bytes[i]; returns the index behind
 * the closing one, or 0 if there is none or a control or bad UTF-8 is in it:
 * json-c's own check lets overlong forms and surrogates through. */
static size_t
skip_string(struct span s, size_t i)
{
	const unsigned char *p = (const unsigned char *)s.at;
	size_t n;

	for (i++; ; i += n) {
		/* Nearly all of a hook is this. */
		while (i + 8 <= s.len && plain8(p + i))
			i += 8;
		while (i < s.len && p[i] >= 0x20 && p[i] < 0x80 &&
		    p[i] != '"' && p[i] != '\\')
			i++;
		if (i >= s.len || p[i] < 0x20)
			return 0;
		if (p[i] == '"')
			return i + 1;
		if (p[i] == '\\')
			n = 2;
		else if ((n = text_utf8_length(p + i, s.len - i)) == 0)
			return 0;
	}
}

static bool
digit(struct span s, size_t i)
{
	return i < s.len && s.at[i] >= '0' && s.at[i] <= '9';
}

static size_t
skip_digits(struct span s, size_t i)
{
	while (digit(s, i))
		i++;
	return i;
}

/* The index behind the number that begins at s.at[i], 0 if it is none:
 * -?(0|[1-9][0-9]*)(.[0-9]+)?([eE][+-]?[0-9]+)? */
static size_t
skip_number(struct span s, size_t i)
{
	i += s.at[i] == '-';
	if (!digit(s, i) || (s.at[i] == '0' && digit(s, i + 1)))
		return 0;
	i = skip_digits(s, i);
	if (i < s.len && s.at[i] == '.') {
		if (!digit(s, ++i))
			return 0;
		i = skip_digits(s, i);
	}
	if (i < s.len && (s.at[i] == 'e' || s.at[i] == 'E')) {
		i++;
		i += i < s.len && (s.at[i] == '+' || s.at[i] == '-');
		if (!digit(s, i))
			return 0;
		i = skip_digits(s, i);
	}
	return i;
}

/* What json-c 0.16 takes even when told to be strict, and JSON does not know:
 * 'single quotes', NaN, Infinity, `1.`, `-.5`, `01e2`, raw controls, overlong
 * UTF-8; and a NUL, at which it stops. What is let through here json-c
 * judges. */
static bool
strict(struct span s)
{
	size_t i = 0;

	while (i < s.len) {
		unsigned char c = (unsigned char)s.at[i];

		if (c == '"') {
			if ((i = skip_string(s, i)) == 0)
				return false;
			continue;
		}
		if (c == '-' || digit(s, i)) {
			if ((i = skip_number(s, i)) == 0)
				return false;
			continue;
		}
		if (c >= 0x80 || c == '\'' || c == 'N' || c == 'I' ||
		    c == '.' || c == '+' ||
		    (c < 0x20 && c != '\t' && c != '\n' && c != '\r'))
			return false;
		i++;
	}
	return true;
}

/* Half of a surrogate pair, \uXXXX, at s.at[i]; 0 if there is none. */
static uint32_t
surrogate(struct span s, size_t i)
{
	uint32_t unit = 0;

	if (s.len - i < 6 || memcmp(s.at + i, "\\u", 2) != 0)
		return 0;
	for (size_t k = i + 2; k < i + 6; k++) {
		static const char digits[] = "0123456789abcdefABCDEF";
		const char *d = memchr(digits, s.at[k], sizeof(digits) - 1);
		uint32_t n = d == NULL ? 0 : (uint32_t)(d - digits);

		if (d == NULL)
			return 0;
		unit = unit << 4 | (n < 16 ? n : n - 6);
	}
	return (unit & 0xf800) == 0xd800 ? unit : 0;
}

/* json-c 0.16 loses a pair whose character ends in d800 to dfff (U+2D800, an
 * ideograph): it takes it for a surrogate, and U+FFFD is left. Such pairs are
 * written out; *t stays empty where there is none, as nearly always. */
static void
write_out_pairs(struct text *t, struct span s)
{
	const char *at;
	size_t i = 0, run = 0;

	while (i < s.len &&
	    (at = memchr(s.at + i, '\\', s.len - i)) != NULL) {
		uint32_t high, low, c;

		i = (size_t)(at - s.at);
		high = surrogate(s, i);
		low = high == 0 ? 0 : surrogate(s, i + 6);
		c = 0x10000 + ((high & 0x3ff) << 10) + (low & 0x3ff);
		if ((high & 0xfc00) == 0xd800 && (low & 0xfc00) == 0xdc00 &&
		    (c & 0xf800) == 0xd800) {
			const char utf8[] = { (char)(0xf0 | c >> 18),
			    (char)(0x80 | (c >> 12 & 0x3f)),
			    (char)(0x80 | (c >> 6 & 0x3f)),
			    (char)(0x80 | (c & 0x3f)) };

			text_add(t, s.at + run, i - run);
			text_add(t, utf8, sizeof(utf8));
			run = i + 12;
		}
		i += run > i ? 12 : 2;
	}
	if (run > 0)
		text_add(t, s.at + run, s.len - run);
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

	return (struct json){ kinds[json_object_get_type(node)], node };
}

static bool
opens(struct span s)
{
	while (s.len > 0 && memchr(" \t\r\n", s.at[0], 4) != NULL)
		s.at++, s.len--;
	return s.len > 0 && s.at[0] == '{';
}

/* What json_open() gives. Behind a brace, success without an object means
 * that json-c ran out of memory; since 0.17 it says so itself. */
static int
parsed(struct json_tokener *tok, struct json_object *node)
{
	enum json_tokener_error e = json_tokener_get_error(tok);

#if JSON_C_VERSION_NUM >= 0x001100
	if (e == json_tokener_error_memory)
		return -1;
#endif
	if (e != json_tokener_success)
		return 1;
	return json_object_is_type(node, json_type_object) ? 0 : -1;
}

int
json_open(struct json *root, struct span bytes)
{
	struct json_tokener *tok;
	struct json_object *node;
	struct text mended = { 0 };
	int rc;

	*root = (struct json){ JSON_MISSING, NULL };
	if (bytes.len > INT_MAX || !opens(bytes) || !strict(bytes))
		return 1;
	write_out_pairs(&mended, bytes);
	if (mended.broken || (tok = json_tokener_new_ex(JSON_DEPTH)) == NULL) {
		text_release(&mended);
		return -1;
	}
	if (mended.len > 0)
		bytes = text_view(&mended);
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT);
	/* It does not look whether this buffer, the longest string's, grows:
	 * a string would be cut. */
	rc = printbuf_memset(tok->pb, 0, 0, (int)bytes.len) < 0 ? -1 : 0;
	printbuf_reset(tok->pb);
	node = rc < 0 ? NULL :
	    json_tokener_parse_ex(tok, bytes.at, (int)bytes.len);
	if (rc == 0)
		rc = parsed(tok, node);
	json_tokener_free(tok);
	text_release(&mended);
	if (rc == 0)
		*root = wrap(node);
	else
		json_object_put(node);
	return rc;
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
