/* Prints the observation of each .hook file: what the golden files hold.
 *
 * A .hook file is header lines, an empty line and the raw body. With the line
 * `Redact: 1` the body that is kept is printed, too. */
#include <stdio.h>
#include <stdlib.h>

#include "observe.h"
#include "receipt.h"
#include "signature.h"

static const char *const names[OBSERVED_FIELDS] = {
	[OBSERVED_RESOURCE] = "resource",
	[OBSERVED_ACTION] = "action",
	[OBSERVED_INSTALLATION] = "installation",
	[OBSERVED_DEDUPE_KEY] = "dedupe_key",
	[OBSERVED_EVENT_ID] = "event_id",
	[OBSERVED_SOURCE_TYPE] = "source_type",
	[OBSERVED_SOURCE_ID] = "source_id",
	[OBSERVED_TITLE] = "title",
	[OBSERVED_OCCURRED_AT] = "occurred_at",
	[OBSERVED_PROJECT_ID] = "project_id",
	[OBSERVED_PROJECT_SLUG] = "project_slug",
	[OBSERVED_ISSUE_ID] = "issue_id",
	[OBSERVED_SHORT_ID] = "short_id",
	[OBSERVED_LEVEL] = "level",
	[OBSERVED_RELEASE] = "release",
	[OBSERVED_ENVIRONMENT] = "environment",
};

static struct span	list, learned;
static struct hook	hook;

static void
line(const char *name, struct span value)
{
	struct text t = { 0 };

	if (value.at == NULL)
		return;
	text_json(&t, value);
	printf("%s: %.*s\n", name, (int)t.len, t.at);
	text_release(&t);
}

static void
show(struct observation *o)
{
	struct span s;

	for (int f = 0; f < OBSERVED_SOURCE_EVENT; f++) {
		if (f == OBSERVED_ACTION && o->outcome == OUTCOME_UNREADABLE)
			continue;
		if (f >= OBSERVED_SOURCE_TYPE &&
		    o->outcome != OUTCOME_OBSERVED)
			break;
		if (f == OBSERVED_INSTALLATION && o->mismatch)
			line("mismatch", span_of("1"));
		if (f == OBSERVED_DEDUPE_KEY)
			line("outcome", span_of(outcome_name(o->outcome)));
		s = observation_get(o, (enum observed)f);
		if (f != OBSERVED_RESOURCE || s.len > 0)
			line(names[f], s);
	}
	s = observation_get(o, OBSERVED_SOURCE_EVENT);
	if (o->outcome == OUTCOME_OBSERVED)
		printf("source_event: %.*s\n", (int)s.len, s.at);
}

static void
header(struct span name, struct span value)
{
	static const struct {
		const char	*name;
		struct span	*to;
	} headers[] = {
		{ "Sentry-Hook-Resource", &hook.resource },
		{ "Sentry-Hook-Timestamp", &hook.timestamp },
		{ "Request-ID", &hook.request_id },
		{ "Idempotency-Key", &hook.idempotency_key },
		{ "Signature", &hook.signature },
		{ "Observe", &list },
		{ "Learned-Release", &learned },
	};

	if (span_is(name, "Received"))
		hook.received_at = strtoll(value.at, NULL, 10);
	hook.redact |= span_is(name, "Redact");
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
		if (span_is(name, headers[i].name))
			*headers[i].to = value;
}

/* Splits the file and returns the body. */
static struct span
read_headers(struct span file)
{
	while (file.len > 0 && file.at[0] != '\n') {
		const char *end = memchr(file.at, '\n', file.len);
		const char *colon = memchr(file.at, ':', file.len);

		if (end == NULL || colon == NULL || end < colon + 2)
			exit(2);
		header((struct span){ file.at, (size_t)(colon - file.at) },
		    (struct span){ colon + 2, (size_t)(end - colon - 2) });
		file.len -= (size_t)(end + 1 - file.at);
		file.at = end + 1;
	}
	return file.len == 0 ? file :
	    (struct span){ file.at + 1, file.len - 1 };
}

static int
run_redacted(void)
{
	char *body = malloc(hook.body.len + 1);
	struct receipt *r;

	if (body == NULL)
		return 1;
	memcpy(body, hook.body.at, hook.body.len);
	if ((r = receipt_new(&hook, body, list)) == NULL)
		return 1;
	show(&r->observation);
	printf("body: %.*s\n", (int)r->hook.body.len, r->hook.body.at);
	receipt_drop(r);
	return 0;
}

static int
run(const char *path)
{
	FILE *f = fopen(path, "rb");
	struct observation o;
	struct text file = { 0 };
	char buf[65536];
	size_t n;

	if (f == NULL) {
		perror(path);
		return 1;
	}
	while ((n = fread(buf, 1, sizeof(buf), f)) > 0)
		text_add(&file, buf, n);
	fclose(f);
	hook = (struct hook){ .signature = span_of("00000000000000000000000000"
	    "00000000000000000000000000000000000000") };
	list = span_of(HOOK_OBSERVE_DEFAULT);
	learned = (struct span){ NULL, 0 };
	hook.body = read_headers(text_view(&file));
	if (hook.redact) {
		int failed = run_redacted();

		text_release(&file);
		return failed;
	}
	if (observe(&o, &hook, list) != 0)
		return 1;
	if (learned.at != NULL && o.asks && o.outcome == OUTCOME_OBSERVED &&
	    observation_learn(&o, learned) != 0)
		return 1;
	show(&o);
	observation_release(&o);
	text_release(&file);
	return 0;
}

int
main(int argc, char *argv[])
{
	int failed = signature_start();

	for (int i = 1; i < argc && failed == 0; i++) {
		const char *slash = strrchr(argv[i], '/');

		if (argc > 2)
			printf("== %s\n", slash == NULL ? argv[i] : slash + 1);
		failed = run(argv[i]);
	}
	return failed == 0 ? 0 : 1;
}
