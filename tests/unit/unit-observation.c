/* What the golden files cannot show: purity, large inputs, learning. */
#include <stdlib.h>

#include "hook/observation.h"
#include "hook/signature.h"
#include "../support/tap.h"

static const char issue[] =
    "{\"action\":\"resolved\",\"installation\":{\"uuid\":\"u\"},\"data\":"
    "{\"issue\":{\"id\":\"7\",\"shortId\":\"A-1\",\"title\":\"T\","
    "\"lastSeen\":\"2026-01-01T00:00:00Z\"}}}";

static struct hook
issue_hook(const char *body)
{
	return (struct hook){ .received_at = 1, .resource = span_of("issue"),
	    .request_id = span_of("r"), .signature = span_of("0"),
	    .body = span_of(body) };
}

static void
observed(struct observation *o, const char *body)
{
	struct hook h = issue_hook(body);

	if (observation_make(o, &h, span_of("*")) != 0)
		abort();
}

static bool
holds(const struct observation *o, const char *what)
{
	struct span s = observation_get(o, OBSERVED_SOURCE_EVENT);

	return memmem(s.at, s.len, what, strlen(what)) != NULL;
}

static void
learns(void)
{
	struct hook h = issue_hook(issue);
	struct observation o;
	struct json root;
	int rc;

	observed(&o, issue);
	ok(o.needs_release && !o.is_event && holds(&o, "\"release\":null"),
	    "an issue without a release asks for one");
	rc = observation_set_release(&o, &h, span_of("web@01234567890123456789"
	    "01234567890123456789"));
	ok(rc == 0 && !o.needs_release,
	    "what was learned is not asked for again");
	ok(json_open(&root, observation_get(&o, OBSERVED_SOURCE_EVENT)) == 0,
	    "the event that has learned is still JSON");
	ok(holds(&o, "\"references\":[{\"type\":\"release\",\"id\":\"web@0123")
	    && holds(&o, "\"releaseFrom\":\"issue\"") &&
	    holds(&o, "{\"type\":\"commit\",\"id\":\"0123456789") &&
	    holds(&o, "\\n\\n**Release**: web@0123"),
	    "a learned release stands at its four places");
	ok(observation_get(&o, OBSERVED_RELEASE).len == 44 &&
	    span_is(observation_get(&o, OBSERVED_TITLE), "\u2705 [Resolved] "
	    "T"), "and in its field, beside the others");
	json_close(&root);
	observation_release(&o);
}

static void
depends_on_nothing_else(void)
{
	struct observation a, b;

	observed(&a, issue);
	setenv("TZ", "Pacific/Auckland", 1);
	setenv("LC_ALL", "de_DE.UTF-8", 1);
	observed(&b, issue);
	ok(a.bytes.len == b.bytes.len &&
	    memcmp(a.bytes.at, b.bytes.at, a.bytes.len) == 0,
	    "the same hook gives the same bytes, wherever and whenever");
	observation_release(&a);
	observation_release(&b);
}

/* 8 MiB, as much as may come. */
static void
bounds_what_is_large(void)
{
	size_t n = 8388608, head = strlen("{\"data\":{\"issue\":{\"title\":\"");
	char *body = malloc(n + 1);
	struct observation o;

	if (body == NULL)
		abort();
	memset(body, 'x', n);
	memcpy(body, "{\"data\":{\"issue\":{\"title\":\"", head);
	memcpy(body + n - 4, "\"}}}", 5);
	observed(&o, body);
	ok(o.outcome == OUTCOME_OBSERVED &&
	    observation_get(&o, OBSERVED_TITLE).len ==
	    6 + 1 + 996 + 3 &&
	    observation_get(&o, OBSERVED_SOURCE_EVENT).len < 80000,
	    "8 MiB of title become 1000 characters, and no more body");
	observation_release(&o);
	free(body);
}

int
main(void)
{
	if (signature_start() != 0)
		return 1;
	learns();
	depends_on_nothing_else();
	bounds_what_is_large();
	return tap_done();
}
