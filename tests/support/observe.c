/* Prints the observation of each .hook file: what the golden files hold. With
 * the line `Redact: 1` the body that is kept is printed, too. */
#include <stdio.h>
#include <stdlib.h>

#include "hook-file.h"
#include "hook/observation.h"
#include "store/received.h"
#include "hook/signature.h"

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
		s = observation_get(o, (enum observation_field)f);
		if (f != OBSERVED_RESOURCE || s.len > 0)
			line(names[f], s);
	}
	s = observation_get(o, OBSERVED_SOURCE_EVENT);
	if (o->outcome == OUTCOME_OBSERVED)
		printf("source_event: %.*s\n", (int)s.len, s.at);
}

static int
run_redacted(const struct hook_file *h)
{
	char *body = malloc(h->hook.body.len + 1);
	struct received *r;

	if (body == NULL)
		return 1;
	memcpy(body, h->hook.body.at, h->hook.body.len);
	if ((r = received_new(&h->hook, body, h->observe)) == NULL)
		return 1;
	show(&r->observation);
	printf("body: %.*s\n", (int)r->hook.body.len, r->hook.body.at);
	received_drop(r);
	return 0;
}

static int
run(const char *path)
{
	FILE *f = fopen(path, "rb");
	struct observation o;
	struct hook_file h;
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
	hook_file_read(&h, text_view(&file));
	if (h.hook.redact) {
		int failed = run_redacted(&h);

		text_release(&file);
		return failed;
	}
	if (observation_make(&o, &h.hook, h.observe) != 0)
		return 1;
	if (h.learned.at != NULL && o.needs_release &&
	    o.outcome == OUTCOME_OBSERVED &&
	    observation_set_release(&o, &h.hook, h.learned) != 0)
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
