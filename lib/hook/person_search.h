/* One person, looked for in hooks: by an e-mail or IP address, an id or a
 * name. redact_mentions() asks for each text of a body. When in doubt the
 * person is found: who erases sees first how many hooks are meant. */
#ifndef PERSON_SEARCH_H
#define PERSON_SEARCH_H

#include <netinet/in.h>

#include "hook/pii.h"
#include "hook/redact_rule.h"

struct person_search {
	struct span	who;		/* borrowed */
	enum pii	kind;		/* of address; PII_NONE: id or name */
	struct in6_addr	ip;		/* if it is one */
	bool		broken;		/* there was no memory to search */
};

struct person_search	person_search_of(struct span who);

/* Whether a text to which `rule` applies names the person. An address is looked
 * for anywhere in it, also as URLs encode it. An id or a name of one word has
 * to be all of a text in which a person is named; a name of several words may
 * be a part of it. Among an application's data (REDACT_DATA) only what has
 * several words or 16 bytes is looked for: there `31` may be anything. */
bool	person_search_in_text(struct person_search *, struct span text,
	    enum redact_rule rule);

/* Whether a number is the person's id. */
bool	person_search_in_scalar(const struct person_search *, struct span,
	    enum redact_rule rule);

/* Looks at the bytes of what cannot be read as JSON. */
bool	person_search_in_bytes(struct person_search *, struct span body);

#endif
