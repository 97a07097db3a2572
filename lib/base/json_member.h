/* Members of a JSON object that is being written: name, value, comma. */
#ifndef MEMBER_H
#define MEMBER_H

#include "base/json.h"

/* `"name":`, with a comma before it unless an object was just opened. */
void	member(struct text *, const char *name);

/* Text; nothing at all, or null, where there is none. */
void	member_string(struct text *, const char *name, struct span);
void	member_or_null(struct text *, const char *name, struct span);

/* A value as it came: undefined is left out; or becomes null; or null is
 * left out as well. */
void	member_value(struct text *, const char *name, struct json);
void	member_value_or_null(struct text *, const char *name, struct json);
void	member_extra(struct text *, const char *name, struct json);

/* An id: text, whether it came as a string or as a number. */
void	member_id(struct text *, const char *name, struct json);

/* JavaScript's parseInt(v, 10), with null for what is no number, as
 * JSON.stringify() has it. */
void	member_integer(struct text *, const char *name, struct json);

#endif
