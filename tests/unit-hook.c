#include <stdlib.h>

#include "hook.h"
#include "signature.h"
#include "tap.h"

static void
takes_for(const char *header, const char *body, const char *want,
    bool mismatch)
{
	struct hook h = { .resource = span_of(header) };
	struct json root;
	struct span name;
	bool said;

	if (json_open(&root, span_of(body)) != 0)
		abort();
	(void)hook_resource(&h, root, &name, &said);
	ok(span_is(name, want) && said == mismatch,
	    "header %.20s with %.44s is \"%s\"", header == NULL ? "none" :
	    header, body, want);
	json_close(&root);
}

static void
resources(void)
{
#define ISSUE "{\"action\":\"created\",\"data\":{\"issue\":{}}}"
#define EVENT "{\"action\":\"triggered\",\"data\":{\"event\":{}}}"
	takes_for("issue", ISSUE, "issue", false);
	takes_for("error", ISSUE, "issue", true);
	takes_for(NULL, ISSUE, "issue", false);
	takes_for("", ISSUE, "issue", false);
	takes_for("iss ue", ISSUE, "issue", false);
	takes_for("seer", ISSUE, "issue", true);
	takes_for("new_thing", ISSUE, "issue", true);
	takes_for("new_thing", "{\"action\":\"new\",\"data\":{\"issue\":{}}}",
	    "new_thing", false);
	takes_for("issue", EVENT, "event_alert", true);
	takes_for("event_alert", "{\"data\":{\"issue\":{},\"event\":{}}}",
	    "event_alert", false);
	takes_for("issue", "{\"data\":{\"issue\":{},\"event\":{}}}", "issue",
	    false);
	takes_for("comment", "{\"data\":{\"comment_id\":1}}", "comment",
	    false);
	takes_for("comment", "{\"data\":{\"comment_id\":null}}", "comment",
	    false);
	takes_for("issue", "{\"data\":{\"comment_id\":1}}", "comment", true);
	takes_for("issue", "{\"data\":{\"issue\":null}}", "issue", false);
	takes_for("seer", "{\"data\":{\"group_id\":1}}", "seer", false);
	takes_for("activity_alert", "{\"data\":{\"issue\":{},\"alert\":{}}}",
	    "activity_alert", false);
	takes_for("a.b-C_9", "{}", "a.b-C_9", false);
	takes_for("x123456789012345678901234567890123456789012345678901234567"
	    "8901234", "{}", "", false);
}

static void
observes(const char *list, const char *resource, const char *action,
    bool want)
{
	ok(hook_observed(span_of(list), span_of(resource), span_of(action)) ==
	    want, "\"%.40s\" %s %s.%s", list, want ? "lets in" : "keeps out",
	    resource, action == NULL ? "" : action);
}

static void
lists(void)
{
	observes(HOOK_OBSERVE_DEFAULT, "issue", "created", true);
	observes(HOOK_OBSERVE_DEFAULT, "issue", "ignored", false);
	observes(HOOK_OBSERVE_DEFAULT, "metric_alert", "open", true);
	observes(HOOK_OBSERVE_DEFAULT, "seer", "x", false);
	observes("issue.*,x", "issue", NULL, true);
	observes("issue.created", "issue", NULL, false);
	observes("issue.created", "issue.created", "", false);
	observes("*", "", NULL, true);
	observes("", "issue", "created", false);
	observes(" ,\t", "issue", "created", false);
	observes("iss.*", "issue", "created", false);
	ok(hook_observe_valid(span_of(HOOK_OBSERVE_DEFAULT)) &&
	    hook_observe_valid(span_of("*, a.b\tc.*")) &&
	    hook_observe_valid(span_of("")), "good lists are valid");
	ok(!hook_observe_valid(span_of("issue")) &&
	    !hook_observe_valid(span_of("issue.")) &&
	    !hook_observe_valid(span_of(".created")) &&
	    !hook_observe_valid(span_of("*.created")) &&
	    !hook_observe_valid(span_of("a.b*")) &&
	    !hook_observe_valid(span_of("a.*b")) &&
	    !hook_observe_valid(span_of("a;b.c")), "bad lists are not");
}

static void
keys(const char *body, enum resource r, const char *name, struct hook h,
    const char *want)
{
	struct text key = { 0 };
	struct json root;

	if (json_open(&root, span_of(body)) != 0)
		abort();
	hook_dedupe_key(&key, &h, root, r, span_of(name),
	    span_of("2026-01-01T00:00:00Z"));
	ok(span_is(text_view(&key), want), "the key %s", want);
	text_release(&key);
	json_close(&root);
}

static void
dedupe(void)
{
	struct hook none = { .signature = span_of("f00"),
	    .timestamp = span_of("17") };
	struct hook plain = none, idem = none, bad = none;

	plain.request_id = span_of("r1");
	idem.request_id = span_of("r2");
	idem.idempotency_key = span_of("0123456789ABCDEF0123456789abcdef");
	bad.request_id = span_of("r 3");
	bad.idempotency_key = span_of("0123456789abcdef0123456789abcdeg");
#define I "\"installation\":{\"uuid\":\"u\"}"
	keys("{" I ",\"action\":\"created\",\"data\":{\"issue\":{\"id\":7}}}",
	    RESOURCE_ISSUE, "issue", plain, "u:issue:created:7");
	keys("{" I ",\"action\":\"created\",\"data\":{\"issue\":{\"id\":7}}}",
	    RESOURCE_ISSUE, "issue", idem, "u:issue:idempotency-key:"
	    "0123456789abcdef0123456789abcdef");
	keys("{" I ",\"action\":\"resolved\",\"data\":{\"issue\":{\"id\":7}}}",
	    RESOURCE_ISSUE, "issue", plain, "u:issue:request-id:r1");
	keys("{" I ",\"action\":\"resolved\",\"data\":{\"issue\":{\"id\":7}}}",
	    RESOURCE_ISSUE, "issue", none, "u:issue:signature:f00:17");
	keys("{" I "}", RESOURCE_ISSUE, "issue", bad, "u:issue:request-id:"
	    "sha256-db43ab34b90be00f98959ab6227aa141");
	keys("{" I ",\"data\":{\"event\":{\"event_id\":\"e\"},"
	    "\"triggered_rule\":\"r\",\"issue_alert\":{\"id\":5}}}",
	    RESOURCE_EVENT_ALERT, "event_alert", plain,
	    "u:event_alert:event:e:rule:r:alert:5");
	keys("{" I ",\"data\":{\"error\":{\"event_id\":\"e\"}}}",
	    RESOURCE_ERROR, "error", plain, "u:error:event:e");
	keys("{\"data\":{\"error\":{}}}", RESOURCE_ERROR, "error", plain,
	    ":error:request-id:r1");
	keys("{" I ",\"action\":\"updated\",\"data\":{\"comment_id\":3,"
	    "\"timestamp\":\"t\"}}", RESOURCE_COMMENT, "comment", plain,
	    "u:comment:updated:3:t");
	keys("{" I ",\"action\":\"updated\",\"data\":{\"comment_id\":3}}",
	    RESOURCE_COMMENT, "comment", plain, "u:comment:request-id:r1");
	keys("{" I ",\"action\":\"warning\",\"data\":{\"metric_alert\":"
	    "{\"id\":\"4\"}}}", RESOURCE_METRIC_ALERT, "metric_alert", plain,
	    "u:metric_alert:warning:4:2026-01-01T00:00:00Z");
	keys("{" I ",\"action\":\"deleted\",\"data\":{\"installation\":{}}}",
	    RESOURCE_INSTALLATION, "installation", plain,
	    "u:installation:deleted:u");
	keys("{" I ",\"action\":\"x\",\"data\":{}}", RESOURCE_OTHER, "", none,
	    "u::signature:f00:17");
}

int
main(void)
{
	if (signature_start() != 0)
		return 1;
	resources();
	lists();
	dedupe();
	return tap_done();
}
