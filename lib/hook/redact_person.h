/* One person, looked for in hooks: by an e-mail or IP address, an id or a
 * name. redact_mentions() asks for each text of a body. */
#ifndef REDACT_PERSON_H
#define REDACT_PERSON_H

#include "hook/redact_rule.h"

struct redact_person {
	struct span	who;		/* borrowed */
	bool		address;	/* `who` is an e-mail or IP address */
};

struct redact_person	redact_person_of(struct span who);

/* Whether a text to which `rule` applies names the person: an address is
 * looked for anywhere in it; anything else has to be the whole text, an id or
 * a name. */
bool	redact_person_in_text(const struct redact_person *, struct span text,
	    enum redact_rule rule);

/* Whether a number, true, false or null is the person's id. */
bool	redact_person_in_scalar(const struct redact_person *, struct span,
	    enum redact_rule rule);

/* Looks at the bytes of what cannot be read as JSON. */
bool	redact_person_in_bytes(const struct redact_person *, struct span body);

#endif
