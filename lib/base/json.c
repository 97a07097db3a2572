#include "base/json.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>

#include <json-c/json.h>
#include <json-c/printbuf.h>

#include "base/json_scan.h"

/* The text that json-c keeps of a float: as it came or, since float_text(), as
 * JavaScript prints it. The text of a long integer ends with a dot, which
 * json_scan() has added. */
static struct span
json_kept_text(struct json_object *node)
{
	return span_of(json_object_get_userdata(node));
}

static struct json
json_wrap(struct json_object *node)
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

	if (v.kind == JSON_FLOAT && (text = json_kept_text(node)).len > 0 &&
	    text.at[text.len - 1] == '.')
		v.kind = JSON_INT;
	return v;
}

/* Parses what is known to be JSON. NULL without memory: json-c says so by an
 * error of its own only since 0.17. */
static struct json_object *
json_parse_tree(struct span s)
{
	/* json-c counts one level more: the values in the innermost array. */
	struct json_tokener *tok = json_tokener_new_ex(JSON_DEPTH + 1);
	struct json_object *node = NULL;

	if (tok == NULL)
		return NULL;
	/* json-c collects each string in this buffer, and does not check
	 * whether the buffer could grow: without memory it would cut a string.
	 * So it grows to the size of the longest possible one now. */
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
	return json_open_but(root, bytes, (const char *const[]){ NULL });
}

int
json_open_but(struct json *root, struct span bytes, const char *const *but)
{
	struct json_object *node = NULL;
	struct text mended = { 0 };
	bool good;

	*root = JSON_NONE;
	/* json-c counts in int; json_scan() makes 20 bytes 21 at the most. */
	good = bytes.len <= INT_MAX / 2 && json_scan(&mended, bytes, but);
	if (good && !mended.broken)
		node = json_parse_tree(mended.len > 0 ? text_view(&mended) :
		    bytes);
	text_release(&mended);
	if (node != NULL)
		*root = json_wrap(node);
	return node != NULL ? 0 : good ? -1 : 1;
}

void
json_close(struct json *root)
{
	json_object_put(root->node);
	*root = JSON_NONE;
}

struct json
json_get(struct json v, const char *name)
{
	struct json_object *node;

	if (v.kind != JSON_OBJECT ||
	    !json_object_object_get_ex(v.node, name, &node))
		return JSON_NONE;
	return json_wrap(node);
}

struct json
json_at(struct json v, size_t i)
{
	if (i >= json_count(v))
		return JSON_NONE;
	return json_wrap(json_object_array_get_idx(v.node, i));
}

size_t
json_count(struct json v)
{
	return v.kind == JSON_ARRAY ? json_object_array_length(v.node) : 0;
}

bool
json_next(struct json v, const void **at, struct span *name,
    struct json *value)
{
	struct lh_entry *e;

	if (v.kind != JSON_OBJECT)
		return false;
	e = *at == NULL ? json_object_get_object(v.node)->head :
	    ((const struct lh_entry *)*at)->next;
	if (e == NULL)
		return false;
	*at = e;
	*name = span_of(e->k);
	*value = json_wrap((struct json_object *)(uintptr_t)e->v);
	return true;
}

/* A float as JavaScript prints it. The text is made once. It replaces the text
 * that the float came with, and lives as long as the node. */
static struct span
float_text(struct json v)
{
	const char *now = json_object_get_userdata(v.node);
	struct text t = { 0 };

	text_number(&t, json_object_get_double(v.node));
	text_add(&t, "", 1);
	if (t.broken || (now != NULL && strcmp(now, t.at) == 0)) {
		text_release(&t);
		return now != NULL ? span_of(now) : SPAN_NONE;
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
		return SPAN_NONE;
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
			return (struct span){ json_kept_text(v.node).at,
			    json_kept_text(v.node).len - 1 };
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
	return SPAN_NONE;
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
		json_write(t, json_wrap(child), style);
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
