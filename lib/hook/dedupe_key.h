/* The key by which a second delivery of the same hook is recognised.
 * docs/observation.md says of which parts it consists, for each resource. */
#ifndef DEDUPE_KEY_H
#define DEDUPE_KEY_H

#include "hook/resource.h"

/* Appends the key. If the body could not be read, the facts hold only `hook`
 * and `name`, and the resource is resource_other. */
void		dedupe_key_add(struct text *, const struct facts *);

/* Appends `tag`, then a part of the key: as it is if it has up to 128 bytes,
 * all of them printable ASCII without blanks and colons (a colon separates
 * parts), else its hash. For the `key` functions of resources. */
void		dedupe_key_part(struct text *, const char *tag, struct span);

/* Appends `ACTION:ID:` and a hash of the whole body: for resources whose dates
 * do not change from one hook to the next. False, and nothing is appended,
 * without an action or an id. */
bool		dedupe_key_of_body(struct text *, const struct facts *,
		    struct span id);

/* The installation's uuid, or { NULL, 0 }. */
struct span	dedupe_key_installation(struct json root);

#endif
