/* Writing the members of a JSON object: name, value, comma. */
#ifndef JSON_MEMBER_H
#define JSON_MEMBER_H

#include "base/json.h"

/* Appends `"name":`, with a comma before it unless the object was just
 * opened. */
void	json_member(struct text *, const char *name);

/* Appends a member with a text. Where there is no text ({ NULL, 0 }) the first
 * appends nothing, the second a null. */
void	json_member_string(struct text *, const char *name, struct span);
void	json_member_or_null(struct text *, const char *name, struct span);

/* Appends a member with a value as it came. A missing value is left out by the
 * first, becomes null by the second; the third leaves out null as well. */
void	json_member_value(struct text *, const char *name, struct json);
void	json_member_value_or_null(struct text *, const char *name, struct json);
void	json_member_extra(struct text *, const char *name, struct json);

/* Appends an id as a text, whether it came as a string or as a number. */
void	json_member_id(struct text *, const char *name, struct json);

/* Appends JavaScript's parseInt(v, 10), or null if that is NaN, as
 * JSON.stringify() does. */
void	json_member_integer(struct text *, const char *name, struct json);

#endif
