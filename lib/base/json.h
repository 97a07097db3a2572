/* JSON as Sentry sends it: read once, strictly, and then looked into. */
#ifndef JSON_H
#define JSON_H

#include "base/json_scan.h"
#include "base/text.h"

enum json_kind {
	JSON_MISSING,		/* JavaScript's undefined */
	JSON_NULL,
	JSON_BOOL,
	JSON_INT,
	JSON_FLOAT,
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT
};

/* A value inside a document; it lives as long as the document. */
struct json {
	enum json_kind		 kind;
	struct json_object	*node;
};

/* Parses all of `bytes` as one JSON object in UTF-8 (RFC 8259, no extension,
 * nothing behind it but white space). Of equal keys the last one counts, lone
 * surrogates become U+FFFD. Returns 0 with *root set, 1 when it is not such
 * an object, -1 without memory. json_close(root) ends the document. */
int	json_open(struct json *root, struct span bytes)
	    __attribute__((warn_unused_result));
/* The same, but objects and arrays of these names, a list with a NULL at its
 * end, are looked through and then left out: null stands in their place. To
 * build them takes ten times as long. */
int	json_open_but(struct json *root, struct span bytes,
	    const char *const *but) __attribute__((warn_unused_result));
void	json_close(struct json *root);

/* A member, an element, the number of elements. What is not there, or is
 * asked of another kind of value, is JSON_MISSING (or 0): look-ups chain. */
struct json	json_get(struct json, const char *name);
struct json	json_at(struct json, size_t);
size_t		json_count(struct json);

/* An object's members in their order: the one behind *at (NULL at first), by
 * name and value. False when there are no more, or it is no object. */
bool		json_next(struct json, const void **at, struct span *name,
		    struct json *value);

/* A string's bytes, or a number or boolean as JavaScript's template would
 * print it (but integers keep all digits). { NULL, 0 } for everything else.
 * json_source() has floats as they came, and is asked for first. */
struct span	json_scalar(struct json);
struct span	json_source(struct json);

/* json_scalar() of a member; of a string only. */
struct span	json_get_scalar(struct json, const char *name);
struct span	json_string(struct json);

/* JavaScript's idea of true, and of null or undefined. */
bool	json_truthy(struct json);
static inline bool
json_nullish(struct json v)
{
	return v.kind == JSON_MISSING || v.kind == JSON_NULL;
}

/* How somebody else might have written the same document again. */
enum json_style {
	JSON_COMPACT_ASCII,	/* as Sentry does: {"a":"\u00e9"} */
	JSON_COMPACT_UTF8,	/* JSON.stringify: {"a":"é"} */
	JSON_SPACED_ASCII,	/* json.dumps: {"a": "\u00e9"} */
	JSON_STYLES
};
void	json_write(struct text *, struct json, enum json_style);

#endif
