#include "hook/redact_text.h"

#include "hook/pii.h"

#define PASSES_MAX	4	/* over a text; two do for what people write */

bool
redact_text_may_hold_address(struct span raw)
{
	return memchr(raw.at, '.', raw.len) || memchr(raw.at, ':', raw.len) ||
	    memchr(raw.at, '%', raw.len) || memchr(raw.at, '\\', raw.len);
}

static bool
replace_addresses(struct text *clean, struct span text, bool version)
{
	size_t from = 0, done = 0;
	enum pii kind;
	struct span what;

	while ((kind = pii_find(text, &from, &what)) != PII_NONE) {
		/* Four numbers, not an address of IPv6. */
		if (version && kind == PII_IP &&
		    memchr(what.at, '.', what.len) != NULL &&
		    memchr(what.at, ':', what.len) == NULL)
			continue;
		text_add(clean, text.at + done,
		    (size_t)(what.at - text.at) - done);
		text_str(clean, kind == PII_EMAIL ? "[email]" : "[ip]");
		done = from;
	}
	if (done > 0)
		text_span(clean, span_behind(text, done));
	return done > 0;
}

/* One pass: replaces addresses or, if there are none, names. */
static bool
replace_once(struct text *clean, struct span text,
    const struct person_names *names, enum redact_rule rule)
{
	bool version = rule == REDACT_VERSION;

	return replace_addresses(clean, text, version) || (names != NULL &&
	    names->count > 0 && person_names_replace(names, clean, text,
	    version || rule == REDACT_PROGRAM));
}

/* A mark in the place of an address may turn what stands beside it into another
 * address or name, which a second redact() would find: passes go on until one
 * finds nothing. Of a text that was made to need ever more of them nothing is
 * left. */
bool
redact_text_clean(struct text *clean, struct span text,
    const struct person_names *names, enum redact_rule rule)
{
	struct text next = { 0 };
	int passes;

	for (passes = 0; passes < PASSES_MAX &&
	    replace_once(&next, text, names, rule); passes++) {
		text_release(clean);
		*clean = next;
		if (clean->broken)
			return true;
		text = text_view(clean);
		next = (struct text){ 0 };
	}
	clean->broken |= next.broken;
	if (passes == PASSES_MAX) {
		clean->len = 0;
		text_str(clean, "[removed]");
	}
	return passes > 0;
}
