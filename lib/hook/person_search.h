/* One person, looked for in hooks: by an e-mail or IP address, an id or a
 * name. redact_mentions() asks for each text of a body. */
#ifndef PERSON_SEARCH_H
#define PERSON_SEARCH_H

#include "hook/redact_rule.h"

struct person_search {
	struct span	who;		/* borrowed */
	bool		address;	/* `who` is an e-mail or IP address */
};

struct person_search	person_search_of(struct span who);

/* Whether a text to which `rule` applies names the person: an address is
 * looked for anywhere in it; anything else has to be the whole text, an id or
 * a name. */
bool	person_search_in_text(const struct person_search *, struct span text,
	    enum redact_rule rule);

/* Whether a number, true, false or null is the person's id. */
bool	person_search_in_scalar(const struct person_search *, struct span,
	    enum redact_rule rule);

/* Looks at the bytes of what cannot be read as JSON. */
bool	person_search_in_bytes(const struct person_search *, struct span body);

#endif
