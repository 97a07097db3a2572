/* What backfilling reads: headers, activities, and which hooks came. */
#include <stdlib.h>

#include "backfill/api_headers.h"
#include "backfill/failures.h"
#include "backfill/hook_body.h"
#include "backfill/match.h"

#include "../support/tap.h"

#define NOW	1768078560000	/* 2026-01-10T20:56:00Z */

/* Lines, one after another. */
static struct api_headers
headers(const char *const lines[])
{
	struct api_headers h = { 0 };

	for (; *lines != NULL; lines++)
		api_headers_read(&h, span_of(*lines));
	return h;
}

#define HEADERS(...)	headers((const char *const[]){ __VA_ARGS__, NULL })

static void
pages(void)
{
	static const char *const none[] = {
	    "Link: <u>; rel=\"next\"; results=\"false\"; cursor=\"0:100:0\"",
	    "Link: <u>; rel=\"previous\"; results=\"true\"; cursor=\"0:1:1\"",
	    "Link: <u>; rel=\"next\"; results=\"true\"",
	    "Link: <u>; rel=\"next\"; results=\"true\"; cursor=\"\"",
	    "Link: <u>; rel=\"next\"; results=\"true\"; cursor=\"0&a=b\"",
	    "Link: <u>; rel=\"next\"; results=\"true\"; cursor=\"0:1:0",
	    "Link: <u>; rel=next; results=true; cursor=0:1:0",
	    "Link: ,,,,", "Link:", "Link", "Links: x",
	    "Link: <u>; rel=\"next\"; results=\"true\"; xcursor=\"0:1:0\"",
	};
	struct api_headers h;
	char long_one[400];

	h = HEADERS("HTTP/1.1 200 OK\r\n", "link: <https://a/?cursor=1>; "
	    "rel=\"previous\"; results=\"false\"; cursor=\"0:0:1\", "
	    "<https://a/?cursor=2>; rel=\"next\"; results=\"true\"; "
	    "cursor=\"1768078560000:0:0\"\r\n", "X-Hits: 530\r\n");
	ok(h.status == 200 && h.more && h.hits == 530 &&
	    strcmp(h.cursor, "1768078560000:0:0") == 0,
	    "the cursor of the next page is read, and how many there are");
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		ok(!HEADERS(none[i]).more, "no next page: %s", none[i]);
	snprintf(long_one, sizeof(long_one), "Link: <u>; rel=\"next\"; "
	    "results=\"true\"; cursor=\"%0250d\"", 1);
	ok(!HEADERS(long_one).more, "a cursor of 250 bytes is none");
	ok(!HEADERS("HTTP/1.1 200 OK", "Link: <u>; rel=\"next\"; "
	    "results=\"true\"; cursor=\"1\"", "HTTP/1.1 500 No").more,
	    "a further status line starts anew");
	ok(HEADERS("HTTP/2 204").status == 204 && HEADERS("HTTP/2").status ==
	    0 && HEADERS("HTTP/1.1 x").status == 0, "odd status lines");
}

static void
limits(void)
{
	static const struct {
		const char	*lines[3];
		int64_t		ms;
	} rows[] = {
		{ { "HTTP/1.1 200 OK" }, 0 },
		{ { "HTTP/1.1 429 No" }, 5000 },
		{ { "HTTP/1.1 429 No", "Retry-After: 7" }, 7000 },
		{ { "HTTP/1.1 503 No", "Retry-After: 7" }, 7000 },
		{ { "HTTP/1.1 429 No", "Retry-After: 7000" }, 300000 },
		{ { "HTTP/1.1 429 No", "Retry-After: Sat, 10 Jan" }, 5000 },
		{ { "HTTP/1.1 429 No", "Retry-After: "
		    "99999999999999999999999" }, 5000 },
		{ { "HTTP/1.1 429 No", "Retry-After: -7" }, 5000 },
		{ { "HTTP/1.1 429 No", "X-Sentry-Rate-Limit-Reset: "
		    "1768078562" }, 2000 },
		{ { "HTTP/1.1 429 No", "X-Sentry-Rate-Limit-Reset: "
		    "1768078500" }, 5000 },
		{ { "HTTP/1.1 200 OK", "X-Sentry-Rate-Limit-Remaining: 0",
		    "X-Sentry-Rate-Limit-Reset: 1768078563" }, 3000 },
		{ { "HTTP/1.1 200 OK", "X-Sentry-Rate-Limit-Remaining: 0",
		    "X-Sentry-Rate-Limit-Reset: 99999999999" }, 300000 },
		{ { "HTTP/1.1 200 OK", "X-Sentry-Rate-Limit-Remaining: 1",
		    "X-Sentry-Rate-Limit-Reset: 1768078563" }, 0 },
		{ { "HTTP/1.1 200 OK", "X-Sentry-Rate-Limit-Remaining: 0" },
		    0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct api_headers h = { 0 };

		for (int k = 0; k < 3 && rows[i].lines[k] != NULL; k++)
			api_headers_read(&h, span_of(rows[i].lines[k]));
		ok(api_headers_wait_ms(&h, NOW) == rows[i].ms,
		    "%s, %s: %lld ms", rows[i].lines[0],
		    rows[i].lines[1] == NULL ? "" : rows[i].lines[1],
		    (long long)rows[i].ms);
	}
}

/* ---- changes ---- */

struct fixture {
	struct json		issue, activities;
	struct change_list	list;
};

static void
fixture_open(struct fixture *f, const char *issue, const char *activities)
{
	struct text t = { 0 };

	text_str(&t, "{\"activity\":");
	text_str(&t, activities);
	text_str(&t, "}");
	if (json_open(&f->issue, span_of(issue)) != 0 ||
	    json_open(&f->activities, text_view(&t)) != 0)
		abort();
	text_release(&t);
	change_list_read(&f->list, f->issue, json_get(f->activities,
	    "activity"));
}

static void
fixture_close(struct fixture *f)
{
	json_close(&f->issue);
	json_close(&f->activities);
}

/* The actions in their order, "-" for those without a hook. */
static bool
actions_are(const struct change_list *l, const char *want)
{
	char got[400] = "";

	for (size_t i = 0; i < l->count; i++)
		snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%s",
		    i > 0 ? " " : "", l->change[i].action == NULL ? "-" :
		    l->change[i].action);
	return strcmp(got, want) == 0;
}

#define ISSUE	"{\"id\":\"7\",\"firstSeen\":\"2026-01-10T20:00:00Z\"," \
	"\"status\":\"unresolved\",\"substatus\":\"regressed\"," \
	"\"statusDetails\":{},\"assignedTo\":null,\"count\":\"1\"," \
	"\"lifetime\":{\"count\":\"9\",\"userCount\":null}," \
	"\"userCount\":3,\"stats\":{}}"
#define AT(id, type, time, more) \
	"{\"id\":\"" id "\",\"type\":\"" type "\",\"dateCreated\":" \
	"\"2026-01-10T" time "Z\"" more "}"

static void
changes(void)
{
	static const struct {
		const char	*issue, *activities, *actions;
	} rows[] = {
		{ ISSUE, "[" AT("3", "set_regression", "20:20:00", "") ","
		    AT("2", "set_resolved", "20:10:00", "") ","
		    AT("0", "first_seen", "20:00:00", "") "]",
		    "created resolved unresolved" },
		{ ISSUE, "[" AT("2", "set_resolved", "20:10:00", "") ","
		    AT("3", "set_regression", "20:20:00", "") "]",
		    "created resolved unresolved" },
		{ ISSUE, "[" AT("10", "set_unresolved", "20:10:00", "") ","
		    AT("9", "set_resolved", "20:10:00", "") "]",
		    "created resolved unresolved" },
		{ ISSUE, "[" AT("2", "unassigned", "20:10:00", "") ","
		    AT("3", "set_resolved_in_pull_request", "20:20:00", "")
		    "," AT("4", "note", "20:20:00", "") "]", "created -" },
		{ ISSUE, "[" AT("2", "set_ignored", "20:10:00", "") ","
		    AT("3", "set_unresolved", "20:20:00", "") ","
		    AT("4", "set_resolved", "20:30:00", "") ","
		    AT("5", "auto_set_ongoing", "20:31:00", "") ","
		    AT("6", "set_regression", "20:40:00", "") ","
		    AT("7", "set_unresolved", "20:50:00", "") "]",
		    "created ignored - resolved - unresolved -" },
		{ ISSUE, "[7,null,[],{},\"x\",{\"type\":\"set_resolved\"},"
		    "{\"type\":\"set_resolved\",\"id\":\"1\","
		    "\"dateCreated\":\"soon\"},{\"type\":7,\"id\":\"1\","
		    "\"dateCreated\":\"2026-01-10T20:00:00Z\"}]", "created" },
		{ ISSUE, "{}", "created" }, { ISSUE, "null", "created" },
		{ "{\"issueCategory\":\"db_query\","
		    "\"firstSeen\":\"2026-01-10T20:00:00Z\"}", "[]", "-" },
		{ "{\"issueCategory\":\"feedback\","
		    "\"firstSeen\":\"2026-01-10T20:00:00Z\"}", "[]",
		    "created" },
		{ "{\"firstSeen\":7}", "[" AT("2", "assigned", "20:10:00",
		    "") "]", "assigned" },
		{ "{}", "[]", "" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fixture f;

		fixture_open(&f, rows[i].issue, rows[i].activities);
		ok(actions_are(&f.list, rows[i].actions), "%s: %s",
		    rows[i].activities, rows[i].actions);
		fixture_close(&f);
	}
}

static void
many_changes(void)
{
	struct text t = { 0 };
	struct fixture f;

	text_str(&t, "[");
	for (int i = 0; i < 5000; i++)
		text_str(&t, i == 0 ? AT("2", "set_resolved", "20:10:00", "")
		    : "," AT("2", "set_resolved", "20:10:00", ""));
	text_str(&t, "]");
	text_add(&t, "", 1);
	fixture_open(&f, ISSUE, t.at);
	ok(f.list.count == CHANGES_MAX && f.list.hidden_before > 0,
	    "of too many activities the first are taken, and it is noted");
	fixture_close(&f);
	text_release(&t);
}

/* Whether the body of the list's change is JSON, and holds all of these. */
static void
body_has(struct fixture *f, size_t i, const char *installation,
    const char *const *words)
{
	struct text t = { 0 };
	struct json root;

	hook_body(&t, f->issue, &f->list.change[i], span_of(installation));
	ok(!t.broken && json_open(&root, text_view(&t)) == 0,
	    "the body of change %zu is JSON", i);
	json_close(&root);
	for (; *words != NULL; words++)
		if (!ok(memmem(t.at, t.len, *words, strlen(*words)) != NULL,
		    "and has %s", *words))
			printf("# %.*s\n", (int)t.len, t.at);
	text_release(&t);
}

#define BODY(f, i, uuid, ...) \
	body_has(f, i, uuid, (const char *const[]){ __VA_ARGS__, NULL })

static void
bodies(void)
{
	struct fixture f;

	fixture_open(&f, ISSUE, "[" AT("5", "set_regression", "20:20:00", "")
	    "," AT("4", "unassigned", "20:12:00", "") ","
	    AT("3", "assigned", "20:11:00", ",\"data\":{\"assignee\":\"71\","
	    "\"assigneeType\":\"user\",\"assigneeEmail\":\"a@example.com\"},"
	    "\"user\":{\"id\":\"71\",\"name\":\"Ann\"}") ","
	    AT("2", "set_resolved_in_release", "20:10:00",
	    ",\"data\":{\"version\":\"\"},\"user\":{\"id\":\"007\","
	    "\"username\":\"bond\"}") "]");
	BODY(&f, 0, "u-1", "{\"action\":\"created\",\"installation\":{\"uuid\":"
	    "\"u-1\"},\"data\":{\"issue\":{\"id\":\"7\",", "\"count\":\"9\"",
	    "\"userCount\":3", "\"status\":\"unresolved\"",
	    "\"substatus\":\"new\"", "\"assignedTo\":null", "\"actor\":{"
	    "\"type\":\"application\",\"id\":\"sentry\"");
	BODY(&f, 1, NULL, "{\"action\":\"resolved\",\"data\":",
	    "\"status\":\"resolved\",\"statusDetails\":{\"inNextRelease\":true}"
	    ",\"substatus\":null", "\"resolution_type\":\"in_next_release\"",
	    "\"actor\":{\"type\":\"user\",\"id\":\"007\",\"name\":\"bond\"}");
	BODY(&f, 2, "", "\"assignedTo\":{\"type\":\"user\",\"id\":\"71\","
	    "\"name\":\"Ann\",\"email\":\"a@example.com\"}",
	    "\"assignee\":{\"type\":\"user\",\"id\":71,\"name\":\"Ann\"",
	    "\"status\":\"resolved\"");
	BODY(&f, 4, "", "\"status\":\"unresolved\",\"statusDetails\":{},"
	    "\"substatus\":\"regressed\"", "\"assignedTo\":null");
	fixture_close(&f);
	fixture_open(&f, "{}", "[" AT("2", "assigned", "20:10:00", "") ","
	    AT("3", "assigned", "20:11:00", ",\"data\":null,\"user\":7") ","
	    AT("4", "set_resolved_in_commit", "20:12:00", ",\"data\":[]") ","
	    AT("5", "set_ignored", "20:13:00", ",\"data\":7") "]");
	BODY(&f, 0, "", "\"assignee\":{\"type\":\"user\",\"id\":\"\"");
	BODY(&f, 1, "", "\"action\":\"assigned\"");
	BODY(&f, 2, "", "\"status\":\"resolved\",\"statusDetails\":{}");
	BODY(&f, 3, "", "\"substatus\":\"archived_forever\"");
	fixture_close(&f);
}

/* ---- which came ---- */

#define HOOK(name, seconds) \
	{ .action = name, .at = NOW + INT64_C(1000) * (seconds) }

static const struct {
	const char		*what;
	struct { const char *action; int64_t s; } change[4];
	struct match_hook	hook[4];
	const char		*came;	/* a digit for each change */
} match_rows[] = {
	{ "within two minutes it is the same",
	    { { "resolved", 0 } }, { HOOK("resolved", 119) }, "1" },
	{ "two minutes early, too",
	    { { "resolved", 0 } }, { HOOK("resolved", -119) }, "1" },
	{ "more than that before is another",
	    { { "resolved", 0 } }, { HOOK("resolved", -121) }, "0" },
	{ "ten minutes later it was sent again",
	    { { "resolved", 0 } }, { HOOK("resolved", 600) }, "1" },
	{ "an hour later is another",
	    { { "resolved", 0 } }, { HOOK("resolved", 3600) }, "0" },
	{ "another action is another",
	    { { "resolved", 0 } }, { HOOK("assigned", 0) }, "0" },
	{ "an issue is created once",
	    { { "created", 0 } }, { HOOK("created", 86400) }, "1" },
	{ "a hook stands for one change",
	    { { "resolved", 0 }, { "resolved", 60 } },
	    { HOOK("resolved", 61) }, "01" },
	{ "one that was sent again is not taken from its own change",
	    { { "resolved", 0 }, { "resolved", 600 } },
	    { HOOK("resolved", 601) }, "01" },
	{ "both came", { { "resolved", 0 }, { "resolved", 60 } },
	    { HOOK("resolved", 61), HOOK("resolved", 2) }, "11" },
	{ "archived is ignored",
	    { { "ignored", 0 } }, { HOOK("archived", 1) }, "1" },
	{ "one that was lost before one that came",
	    { { "resolved", 0 }, { "resolved", 90 } },
	    { HOOK("resolved", 91) }, "01" },
	{ "one that was lost before one that came late",
	    { { "resolved", 0 }, { "resolved", 510 } },
	    { HOOK("resolved", 690) }, "01" },
	{ "the nearest pair is taken first, then what is left",
	    { { "resolved", 0 }, { "resolved", 60 } },
	    { HOOK("resolved", 59), HOOK("resolved", 100) }, "11" },
	{ "what sends no hook did not come",
	    { { NULL, 0 }, { "assigned", 0 } },
	    { HOOK("assigned", 1) }, "01" },
};

static void
matches(void)
{
	for (size_t i = 0;
	    i < sizeof(match_rows) / sizeof(match_rows[0]); i++) {
		static struct change_list l;
		struct match_hook hooks[4];
		bool came[CHANGES_MAX + 1];
		size_t n = 0;
		bool good = true;

		memcpy(hooks, match_rows[i].hook, sizeof(hooks));
		while (n < 4 && hooks[n].action[0] != '\0')
			n++;
		l.count = strlen(match_rows[i].came);
		for (size_t k = 0; k < l.count; k++)
			l.change[k] = (struct change){
			    .action = match_rows[i].change[k].action,
			    .at = NOW + 1000 * match_rows[i].change[k].s };
		match_hooks(came, &l, hooks, n);
		for (size_t k = 0; k < l.count; k++)
			good &= came[k] == (match_rows[i].came[k] == '1');
		ok(good, "%s", match_rows[i].what);
	}
}

static void
assignees(void)
{
	static const struct {
		const char	*first, *second, *hook, *came, *what;
	} rows[] = {
		{ "71", "72", "72", "01", "whom it assigns says which it is" },
		{ "71", "72", "", "10", "where that is not known, time does" },
		{ "71", "71", "72", "00", "one for another is another" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct match_hook hook = HOOK("assigned", 40);
		bool came[CHANGES_MAX + 1];
		struct fixture f;
		char json[400];

		snprintf(json, sizeof(json), "[" AT("2", "assigned",
		    "20:56:30", ",\"data\":{\"assignee\":\"%s\"}") ","
		    AT("3", "assigned", "20:57:30",
		    ",\"data\":{\"assignee\":\"%s\"}") "]", rows[i].first,
		    rows[i].second);
		snprintf(hook.assignee, sizeof(hook.assignee), "%s",
		    rows[i].hook);
		fixture_open(&f, "{}", json);
		match_hooks(came, &f.list, &hook, 1);
		ok(came[0] == (rows[i].came[0] == '1') &&
		    came[1] == (rows[i].came[1] == '1'), "%s", rows[i].what);
		fixture_close(&f);
	}
}

static void
failure_logs(void)
{
	static struct failures f;
	struct json root;
	size_t end;

	if (json_open(&root, span_of("{\"list\":[7,{},"
	    "{\"eventType\":\"issue.created\",\"date\":7},"
	    "{\"eventType\":\"issue.created\","
	    "\"date\":\"2026-01-10 20:56:00.5+00:00\"},"
	    "{\"eventType\":\"issue.resolved\","
	    "\"date\":\"2026-01-10T20:00:00Z\"},"
	    "{\"eventType\":\"issue.resolved\","
	    "\"date\":\"2026-01-10T18:00:00Z\"},"
	    "{\"eventType\":\"issue.created\",\"organization\":{\"slug\":"
	    "\"other\"},\"date\":\"2026-01-10T20:00:00Z\"},"
	    "{\"eventType\":\"error.created\","
	    "\"date\":\"2026-01-10T20:00:00Z\"}]}")) != 0)
		abort();
	failures_read(&f, json_get(root, "list"), "example");
	json_close(&root);
	ok(f.count == 3 && f.others == 1 && !f.full && f.at[2] == NOW + 500,
	    "the log's entries about issues are read, of this organization");
	end = failures_window(&f, 0);
	ok(end == 1 && failures_window(&f, end) == 3,
	    "those within an hour are one window");
	failures_read(&f, root, "example");
	ok(f.count == 0 && f.others == 0, "what is no list has none");
}

int
main(void)
{
	pages();
	limits();
	changes();
	many_changes();
	bodies();
	matches();
	assignees();
	failure_logs();
	return tap_done();
}
