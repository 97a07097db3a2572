/* One text of a hook without the addresses and names in it. */
#ifndef REDACT_TEXT_H
#define REDACT_TEXT_H

#include "hook/person_names.h"
#include "hook/redact_rule.h"

/* Whether the raw bytes of a JSON string may say an address, or hold an escape
 * that may be a part of one. Most strings do not: they need no decoding. */
bool	redact_text_may_hold_address(struct span raw);

/* Takes out of `text` every address and, if `names` is not NULL, those names.
 * Under REDACT_VERSION an IP address is left; there and under REDACT_PROGRAM,
 * a name of one word (person_names_replace()). Whether there was one; then
 * *clean, which starts as { 0 }, is the text without. */
bool	redact_text_clean(struct text *clean, struct span text,
	    const struct person_names *names, enum redact_rule rule);

#endif
