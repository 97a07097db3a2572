/* JSON as Sentry sends it: parsed once and strictly; then values are looked up
 * in it. */
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

#define JSON_NONE	((struct json){ JSON_MISSING, NULL })

/* Parses all of `bytes` as one JSON object in UTF-8 (RFC 8259 without any
 * extension; only white space around it). If keys are equal, the last one
 * counts; a surrogate without its other half becomes U+FFFD. Returns 0 and sets
 * *root, 1 if it is not such an object, -1 without memory. The caller ends the
 * document with json_close(root). */
int	json_open(struct json *root, struct span bytes)
	    __attribute__((warn_unused_result));

/* The same, but objects and arrays that are called by a name of `but` (a list
 * with a NULL at its end) are checked and then left out: null takes their
 * place. Building them takes ten times as long as checking them. */
int	json_open_but(struct json *root, struct span bytes,
	    const char *const *but) __attribute__((warn_unused_result));
void	json_close(struct json *root);

/* A member by its name, an element by its number, the number of elements. The
 * result is JSON_MISSING, or 0, if there is none, or if the value is no object
 * (or no array): so look-ups can be nested without a check between them. */
struct json	json_get(struct json, const char *name);
struct json	json_at(struct json, size_t);
size_t		json_count(struct json);

/* Iterates over an object's members in their order. *at is NULL before the
 * first call. False if there are no more, or if the value is no object. */
bool		json_next(struct json, const void **at, struct span *name,
		    struct json *value);

/* The text of a string, a number or a boolean: as JavaScript's templates print
 * it, but integers keep all digits. { NULL, 0 } for any other kind. It lives as
 * long as the document. json_source() gives floats as they came instead; it
 * must be called before json_scalar(), which replaces that text. */
struct span	json_scalar(struct json);
struct span	json_source(struct json);

/* json_scalar() of a member; json_scalar() of strings only. */
struct span	json_get_scalar(struct json, const char *name);
struct span	json_string(struct json);

/* Whether JavaScript takes the value for true; for null or undefined. */
bool	json_truthy(struct json);
static inline bool
json_nullish(struct json v)
{
	return v.kind == JSON_MISSING || v.kind == JSON_NULL;
}

/* The styles in which others may have written the same document again. */
enum json_style {
	JSON_COMPACT_ASCII,	/* as Sentry does: {"a":"\u00e9"} */
	JSON_COMPACT_UTF8,	/* JSON.stringify: {"a":"é"} */
	JSON_SPACED_ASCII,	/* json.dumps: {"a": "\u00e9"} */
	JSON_STYLES
};

/* Appends the value in this style. */
void	json_write(struct text *, struct json, enum json_style);

#endif
