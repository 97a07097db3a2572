#include <stdlib.h>

#include "hook/dedupe_key.h"
#include "hook/observe_list.h"
#include "hook/signature.h"
#include "../support/tap.h"

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
	(void)resource_of(&h, root, &name, &said);
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
	bool has = observe_list_has(span_of(list), span_of(resource),
	    span_of(action));

	ok(has == want, "\"%.40s\" %s %s.%s", list, want ? "lets in" :
	    "keeps out", resource, action == NULL ? "" : action);
}

static void
lists(void)
{
	observes(OBSERVE_LIST_DEFAULT, "issue", "created", true);
	observes(OBSERVE_LIST_DEFAULT, "issue", "ignored", false);
	observes(OBSERVE_LIST_DEFAULT, "metric_alert", "open", true);
	observes(OBSERVE_LIST_DEFAULT, "seer", "x", false);
	observes("issue.*,x", "issue", NULL, true);
	observes("issue.created", "issue", NULL, false);
	observes("issue.created", "issue.created", "", false);
	observes("*", "", NULL, true);
	observes("", "issue", "created", false);
	observes(" ,\t", "issue", "created", false);
	observes("iss.*", "issue", "created", false);
	ok(observe_list_valid(span_of(OBSERVE_LIST_DEFAULT)) &&
	    observe_list_valid(span_of("*, a.b\tc.*")) &&
	    observe_list_valid(span_of("")), "good lists are valid");
	ok(!observe_list_valid(span_of("issue")) &&
	    !observe_list_valid(span_of("issue.")) &&
	    !observe_list_valid(span_of(".created")) &&
	    !observe_list_valid(span_of("*.created")) &&
	    !observe_list_valid(span_of("a.b*")) &&
	    !observe_list_valid(span_of("a.*b")) &&
	    !observe_list_valid(span_of("a;b.c")), "bad lists are not");
}

static void
keys(const char *body, const char *resource, struct hook h, const char *want)
{
	struct text key = { 0 };
	struct json root;
	struct facts f;
	struct span name;
	bool mismatch;

	h.resource = span_of(resource);
	h.body = span_of(body);
	if (json_open(&root, h.body) != 0)
		abort();
	facts_start(&f, resource_of(&h, root, &name, &mismatch), &h, root,
	    name);
	f.resource->find(&f);
	dedupe_key_add(&key, &f);
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
	    "issue", plain, "u:issue:created:7");
	keys("{" I ",\"action\":\"created\",\"data\":{\"issue\":{\"id\":7}}}",
	    "issue", idem, "u:issue:idempotency-key:"
	    "0123456789abcdef0123456789abcdef");
	keys("{" I ",\"action\":\"resolved\",\"data\":{\"issue\":{\"id\":7}}}",
	    "issue", plain, "u:issue:request-id:r1");
	keys("{" I ",\"action\":\"resolved\",\"data\":{\"issue\":{\"id\":7}}}",
	    "issue", none, "u:issue:signature:f00:17");
	keys("{" I "}", "issue", bad, "u:issue:request-id:"
	    "sha256-db43ab34b90be00f98959ab6227aa141");
	keys("{" I ",\"data\":{\"event\":{\"event_id\":\"e\",\"project\":1,"
	    "\"issue_id\":\"2\"},\"triggered_rule\":\"r\",\"issue_alert\":"
	    "{\"id\":5}}}", "event_alert", plain,
	    "u:event_alert:project:1:issue:2:event:e:rule:r:alert:5");
	keys("{" I ",\"data\":{\"error\":{\"event_id\":\"e\",\"project\":9}}}",
	    "error", plain, "u:error:project:9:event:e");
	keys("{\"data\":{\"error\":{}}}", "error", plain,
	    ":error:request-id:r1");
	keys("{" I ",\"action\":\"updated\",\"data\":{\"comment_id\":3}}",
	    "comment", plain,
	    "u:comment:updated:3:20b2dd6dbe35ee6151814b5a09ede75d");
	keys("{" I ",\"data\":{\"comment_id\":3}}", "comment", plain,
	    "u:comment:request-id:r1");
	keys("{" I ",\"action\":\"warning\",\"data\":{\"metric_alert\":"
	    "{\"id\":\"4\"}}}", "metric_alert", plain,
	    "u:metric_alert:warning:4:981d69c14b8c6eaaef771ada72f28fba");
	keys("{" I ",\"action\":\"deleted\",\"data\":{\"installation\":{}}}",
	    "installation", plain, "u:installation:deleted:u");
	keys("{" I ",\"action\":\"x\",\"data\":{}}", "", none,
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
