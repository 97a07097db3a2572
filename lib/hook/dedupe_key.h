/* The key by which the same delivery is known again. docs/observation.md has
 * what it is made of, for each resource. */
#ifndef DEDUPE_KEY_H
#define DEDUPE_KEY_H

#include "hook/resource.h"

/* Appends the key. Of a body that could not be read, only `hook` and `name` of
 * the facts are there, and the resource is resource_other. */
void		dedupe_key_add(struct text *, const struct facts *);

/* For a resource's own part of it. A part is appended as it is where it is
 * short and plain and has no colon, which is what stands between them, else as
 * its hash; `tag` before it, as it is. */
void		dedupe_key_part(struct text *, const char *tag, struct span);

/* `ACTION:ID:` and a hash of the whole body: for those whose dates do not
 * change from one hook to the next. False, and nothing appended, without an
 * action or an id. */
bool		dedupe_key_of_body(struct text *, const struct facts *,
		    struct span id);

/* The installation's uuid, or { NULL, 0 }. */
struct span	dedupe_key_installation(struct json root);

#endif
