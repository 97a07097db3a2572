/* Members of a JSON object that is being written: name, value, comma. */
#ifndef JSON_MEMBER_H
#define JSON_MEMBER_H

#include "base/json.h"

/* `"name":`, with a comma before it unless an object was just opened. */
void	json_member(struct text *, const char *name);

/* Text; nothing at all, or null, where there is none. */
void	json_member_string(struct text *, const char *name, struct span);
void	json_member_or_null(struct text *, const char *name, struct span);

/* A value as it came: undefined is left out; or becomes null; or null is
 * left out as well. */
void	json_member_value(struct text *, const char *name, struct json);
void	json_member_value_or_null(struct text *, const char *name, struct json);
void	json_member_extra(struct text *, const char *name, struct json);

/* An id: text, whether it came as a string or as a number. */
void	json_member_id(struct text *, const char *name, struct json);

/* JavaScript's parseInt(v, 10), with null for what is no number, as
 * JSON.stringify() has it. */
void	json_member_integer(struct text *, const char *name, struct json);

#endif
