#include "hook/person_search.h"

#include "hook/pii.h"

struct person_search
person_search_of(struct span who)
{
	struct span found;
	size_t from = 0;

	return (struct person_search){ who,
	    pii_find(who, &from, &found) != PII_NONE && found.len == who.len };
}

static bool
holds_address(struct span text, struct span who)
{
	struct span found;
	size_t from = 0;

	while (pii_find(text, &from, &found) != PII_NONE)
		if (pii_same(found, who))
			return true;
	return false;
}

bool
person_search_in_text(const struct person_search *p, struct span text,
    enum redact_rule rule)
{
	const char *colon;

	if (p->address)
		return holds_address(text, p->who);
	if (pii_same(text, p->who))
		return rule == REDACT_CALLED || redact_rule_drops(rule) ||
		    rule == REDACT_USER || rule == REDACT_ID;
	/* A tag's value: `id:1`, `username:ada`. */
	if (rule != REDACT_USER || text.len == 0 ||
	    (colon = memchr(text.at, ':', text.len)) == NULL)
		return false;
	return pii_same(span_behind(text, (size_t)(colon + 1 - text.at)),
	    p->who);
}

bool
person_search_in_scalar(const struct person_search *p, struct span s,
    enum redact_rule rule)
{
	return (rule == REDACT_USER || rule == REDACT_ID) &&
	    pii_same(s, p->who);
}

bool
person_search_in_bytes(const struct person_search *p, struct span body)
{
	for (size_t i = 0; i + p->who.len <= body.len; i++)
		if (pii_same((struct span){ body.at + i, p->who.len }, p->who))
			return true;
	return false;
}
