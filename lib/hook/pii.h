/* What tells who somebody is: an e-mail or IP address within a text, and the
 * names of members that hold such things. */
#ifndef PII_H
#define PII_H

#include "base/span.h"

enum pii { PII_NONE, PII_EMAIL, PII_IP };

/* The first address in `text` at or behind *from; *what is its bytes, and
 * *from moves behind it. When in doubt it is one: `1.2.3.4` is an address,
 * whatever it was meant to be. */
enum pii	pii_find(struct span text, size_t *from,
		    struct span *what);

/* A member's name as the lists have it: in small letters, without `_-. `. Of
 * no length if it is longer than any in a list. */
#define PII_FOLDED	24
struct span	pii_fold(char folded[PII_FOLDED], struct span name);

/* Whether a name, folded or not, is in a list, which ends with NULL. */
bool		pii_listed(struct span name, const char *const *list);

/* Whether a member of this name, folded, holds an e-mail or IP address,
 * somebody's name, or what an application knew of a person when it failed. */
bool		pii_member(struct span folded);

/* Whether it holds somebody's whole name, and nothing but that. */
bool		pii_name(struct span folded);

/* Compares without regard to the case of A to Z. */
bool		pii_same(struct span, struct span);

#endif
