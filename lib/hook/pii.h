/* Personally identifiable information: e-mail and IP addresses in texts, and
 * the names of members that hold addresses, names or a user's data. */
#ifndef PII_H
#define PII_H

#include "base/span.h"

enum pii { PII_NONE, PII_EMAIL, PII_IP };

/* Finds the first address in `text` at or behind *from: *what is its bytes, and
 * *from moves behind it. When in doubt it is an address: `1.2.3.4` may as well
 * be a version. */
enum pii	pii_find(struct span text, size_t *from,
		    struct span *what);

/* A member's name as the lists have it: in small letters, without `_-. `. Of
 * no length if it is longer than any in a list. */
#define PII_FOLDED	24	/* bytes of the longest */
struct span	pii_fold(char folded[PII_FOLDED], struct span name);

/* Whether a name, folded or not, is in a list, which ends with NULL. */
bool		pii_listed(struct span name, const char *const *list);

/* Whether a member of this name, folded, holds an e-mail or IP address or
 * somebody's name. */
bool		pii_member(struct span folded);

/* Whether a member of this name, folded, holds what an application knew when
 * it failed: anything, and perhaps a person's data. */
bool		pii_data(struct span folded);

/* Whether a member of this name, folded, holds somebody's whole name, and
 * nothing but that. */
bool		pii_name(struct span folded);

/* Compares without regard to the case of A to Z. */
bool		pii_same(struct span, struct span);

#endif
