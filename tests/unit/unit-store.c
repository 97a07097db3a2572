#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../support/shell.h"
#include "hook/signature.h"
#include "store/reprocess.h"
#include "store/store.h"
#include "../support/tap.h"

static enum fault
put(struct db *s, const char *body, const char *request_id, int64_t at,
    enum origin origin, struct stored *stored)
{
	struct hook h = { .received_at = at, .resource = span_of("issue"),
	    .request_id = span_of(request_id), .signature = span_of("0"),
	    .body = span_of(body) };
	struct observation o;
	enum fault f;

	if (observation_make(&o, &h, span_of("*")) != 0 ||
	    db_begin(s) != FAULT_NONE)
		abort();
	f = store_put(s, &h, &o, origin, stored);
	f = db_end(s, f);
	observation_release(&o);
	return f;
}

#define RESOLVED(project) "{\"action\":\"resolved\",\"installation\":{" \
	"\"uuid\":\"u\"},\"data\":{\"issue\":{\"id\":\"7\",\"title\":\"T\"," \
	"\"project\":" project "}}}"

static void
keeps(struct db *s)
{
	struct stored stored;

	ok(put(s, RESOLVED("{\"id\":5,\"slug\":\"Web\"}"), "a", 1,
	    FROM_REQUEST, &stored) == FAULT_NONE && !stored.duplicate &&
	    stored.unmapped, "a hook without a mapping is kept as unmapped");
	ok(put(s, RESOLVED("{\"id\":5,\"slug\":\"Web\"}"), "a", 2,
	    FROM_REQUEST, &stored) == FAULT_NONE && stored.duplicate,
	    "the same delivery is a duplicate");
	ok(ask("SELECT seen FROM webhook") == 2 && !stored.differs,
	    "and is counted");
	ok(ask("SELECT length(dedupe_key) = 16 AND event_id = 'sentry-' || "
	    "lower(hex(dedupe_key)) FROM webhook w, outbox") == 1,
	    "the event id is the key of 16 bytes in hex");
	ok(put(s, RESOLVED("{\"id\":5,\"slug\":\"Web\"}"), "a", 1,
	    FROM_SPOOL, &stored) == FAULT_NONE && stored.duplicate &&
	    ask("SELECT seen FROM webhook") == 2,
	    "the same receipt from the spool is not counted again");
	ok(put(s, RESOLVED("{\"id\":5,\"slug\":\"Web\"}"), "a", 3,
	    FROM_SPOOL, &stored) == FAULT_NONE &&
	    ask("SELECT seen FROM webhook") == 3,
	    "another receipt from the spool is");
	ok(put(s, RESOLVED("{\"id\":5,\"slug\":\"web\"}"), "a", 4,
	    FROM_REQUEST, &stored) == FAULT_NONE && stored.duplicate &&
	    stored.differs, "one with another body is told from it");
	ok(ask("SELECT count(*) FROM outbox") == 1, "it stays one row");
}

/* By hand, as an operator may. */
static void
loses_its_newest(struct db *s)
{
	struct stored stored;

	ok(put(s, RESOLVED("{}"), "n1", 1, FROM_REQUEST, &stored) ==
	    FAULT_NONE && run("DELETE FROM webhook WHERE id = "
	    "(SELECT max(id) FROM webhook)") && put(s, RESOLVED("{}"), "n2",
	    1, FROM_REQUEST, &stored) == FAULT_NONE,
	    "a hook is kept where the newest row was deleted by hand");
	if (!run("DELETE FROM outbox WHERE webhook_id NOT IN (SELECT id FROM "
	    "webhook); DELETE FROM outbox WHERE issue_id = '7' AND id > 1; "
	    "DELETE FROM webhook WHERE id > 1"))
		abort();
}

static void
maps_later(struct db *s)
{
	int64_t before, after, cursor = 0;
	bool more = true;

	ok(store_map_edits(s, &before) == FAULT_NONE &&
	    run("INSERT INTO workspace_map (project_slug, workspace_id) "
	    "VALUES ('w*', 'ws')") &&
	    store_map_edits(s, &after) == FAULT_NONE && after > before,
	    "an edit of the mapping is seen");
	if (db_begin(s) != FAULT_NONE)
		abort();
	ok(store_remap(s, &cursor, 10, &more) == FAULT_NONE && !more &&
	    db_end(s, FAULT_NONE) == FAULT_NONE &&
	    ask("SELECT count(*) FROM outbox WHERE state = 'pending' "
	    "AND workspace_id = 'ws' AND store_id = 'default'") == 1,
	    "an unmapped row becomes pending");
}

static void
waits_its_turn(struct db *s)
{
	struct backlog c;

	if (!run("BEGIN IMMEDIATE"))
		abort();
	ok(db_begin(s) == FAULT_BUSY, "somebody's lock is busy, no fault");
	ok(store_count_backlog(s, &c) == FAULT_NONE && c.pending == 1,
	    "one can count meanwhile");
	if (!run("ROLLBACK"))
		abort();
	ok(db_begin(s) == FAULT_NONE, "and goes on after it");
	db_rollback(s);
}

static void
sees_another_file(struct db *s)
{
	char other[96];

	snprintf(other, sizeof(other), "%s.away", shell_path);
	if (rename(shell_path, other) != 0)
		abort();
	ok(db_begin(s) == FAULT_GONE, "a database that was moved is gone");
	if (rename(other, shell_path) != 0)
		abort();
	ok(db_begin(s) == FAULT_NONE, "and back when it is back");
	db_rollback(s);
}

/* The mapping's precedence: each row more specific than those above it. */
static void
prefers(struct db *s)
{
	static const char *const rows[] = {
		"NULL, NULL, NULL", "'u', NULL, NULL", "NULL, NULL, 'w*'",
		"'u', NULL, 'W[b-e]?'", "NULL, NULL, 'web'", "'u', NULL, 'WEB'",
		"NULL, '5', NULL", "'u', '5', 'w*'",
	};
	struct stored stored;
	char sql[256];

	if (!run("DELETE FROM workspace_map; INSERT INTO workspace_map "
	    "(installation, project_id, project_slug, workspace_id) VALUES "
	    "('other', NULL, NULL, 'no'), (NULL, '6', NULL, 'no'), "
	    "(NULL, NULL, 'we', 'no'), (NULL, '5', 'x*', 'no'), "
	    "('other', '5', 'web', 'no')"))
		abort();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(sql, sizeof(sql), "INSERT INTO workspace_map "
		    "(installation, project_id, project_slug, workspace_id) "
		    "VALUES (%s, 'w%zu'), (%s, 'later')", rows[i], i,
		    rows[i]);
		if (!run(sql))
			abort();
		snprintf(sql, sizeof(sql), "p%zu", i);
		if (put(s, RESOLVED("{\"id\":5,\"slug\":\"Web\"}"), sql, 9,
		    FROM_REQUEST, &stored) != FAULT_NONE)
			abort();
		snprintf(sql, sizeof(sql), "SELECT workspace_id = 'w%zu' FROM "
		    "outbox ORDER BY id DESC LIMIT 1", i);
		ok(ask(sql) == 1, "(%s) beats all less specific", rows[i]);
	}
}

/* ---- hooks that were backfilled ---- */

#define BACKFILLED	3000	/* creations within the last day */
#define SENT		"1768078500"	/* seconds */

static int
count_steps(void *steps)
{
	++*(unsigned *)steps;	/* some thousand each time */
	return 0;
}

static enum fault
put_created(struct db *s, const char *body, struct stored *stored)
{
	struct hook h = { .received_at = 1768078500000,
	    .resource = span_of("issue"), .timestamp = span_of(SENT),
	    .signature = span_of("0"), .body = span_of(body) };
	struct observation o;
	enum fault f;

	if (observation_make(&o, &h, span_of("*")) != 0 ||
	    db_begin(s) != FAULT_NONE)
		abort();
	f = db_end(s, store_put(s, &h, &o, FROM_REQUEST, stored));
	observation_release(&o);
	return f;
}

#define CREATED(id) "{\"action\":\"created\",\"installation\":{" \
	"\"uuid\":\"u\"},\"data\":{\"issue\":{\"id\":\"" id "\"," \
	"\"title\":\"T\",\"project\":{\"id\":5,\"slug\":\"Web\"}}}}"

/* With many of them, one hook may not look at all. */
static void
finds_backfilled(struct db *s)
{
	unsigned steps = 0;
	struct stored stored;
	char sql[1200];

	snprintf(sql, sizeof(sql), "BEGIN; WITH RECURSIVE n (i) AS (SELECT 1 "
	    "UNION ALL SELECT i + 1 FROM n WHERE i < %d) INSERT INTO webhook "
	    "(id, received_at, resource, action, hook_timestamp, origin, "
	    "dedupe_key, outcome, body) SELECT 100000 + i, 1, 'issue', "
	    "'created', '%s', 'backfill', CAST('backfill' || i AS BLOB), "
	    "'observed', x'7b7d' FROM n; INSERT INTO outbox (webhook_id, "
	    "event_id, created_at, source_type, source_id, title, occurred_at,"
	    " issue_id, source_event, state, due_at) SELECT id, 'e' || id, 1, "
	    "'issue.created', 'issue:' || id, 't', '', CAST(id AS TEXT), "
	    "'{}', 'unmapped', 1 FROM webhook WHERE id > 100000; COMMIT",
	    BACKFILLED, SENT);
	if (!run(sql))
		abort();
	db_interrupt(s, count_steps, &steps);
	ok(put_created(s, CREATED("99"), &stored) == FAULT_NONE &&
	    !stored.duplicate && steps < 2, "a creation that was not "
	    "backfilled is kept, without a look at %d that were", BACKFILLED);
	steps = 0;
	ok(put_created(s, CREATED("100700"), &stored) == FAULT_NONE &&
	    stored.duplicate && steps < 2 &&
	    ask("SELECT seen FROM webhook WHERE id = 100700") == 2,
	    "one of these is counted there, at once");
	db_interrupt(s, NULL, NULL);
}

static void
reprocesses_without_its_last(void)
{
	struct reprocess_options options = { .db = shell_path,
	    .observe_list = span_of("*") };
	struct reprocess_count c = { 0 };
	struct reprocess *r;
	char why[DB_WHY];
	bool end = false;
	unsigned turns = 0;

	if (!run("INSERT INTO webhook (id, received_at, resource, dedupe_key, "
	    "outcome, body) VALUES (9000000000000000000, 1, '', x'ff', "
	    "'ignored', x'7b7d')") ||
	    reprocess_open(&r, &options, why) != FAULT_NONE ||
	    !run("DELETE FROM webhook WHERE id = 9000000000000000000"))
		abort();
	while (!end && turns++ < 1000)
		if (reprocess_next(r, &c, &end) != FAULT_NONE)
			abort();
	ok(end, "hooks are observed again to the end, though the row with the "
	    "highest id goes meanwhile");
	reprocess_close(r);
}

static void
refuses(const char *columns, const char *values)
{
	char sql[256];

	snprintf(sql, sizeof(sql), "INSERT INTO workspace_map (%s) VALUES "
	    "(%s)", columns, values);
	ok(!run(sql), "the table refuses (%s) = (%s)", columns, values);
}

static void
foreign_files(void)
{
	char why[DB_WHY];
	struct db *s;

	if (!run("PRAGMA user_version = 99"))
		abort();
	ok(store_open(&s, shell_path, DB_OWN, why) == FAULT_NEWER &&
	    s == NULL && strstr(why, "newer") != NULL,
	    "a newer version is refused: %s", why);
	if (!run("PRAGMA user_version = 1; PRAGMA application_id = 5"))
		abort();
	ok(store_open(&s, shell_path, DB_OWN, why) == FAULT_FOREIGN,
	    "another program's file is refused: %s", why);
	ok(store_open(&s, "/nonexistent/x", DB_OWN, why) != FAULT_NONE,
	    "a file that cannot be is a fault: %s", why);
}

int
main(void)
{
	char why[DB_WHY];
	struct db *s;

	if (signature_start() != 0)
		return 1;
	shell_begin();
	ok(store_open(&s, shell_path, DB_OWN, why) == FAULT_NONE,
	    "a database is made");
	shell_open();
	ok(ask("PRAGMA user_version") == 1 &&
	    ask("PRAGMA application_id") != 0 &&
	    ask("PRAGMA auto_vacuum") == 2, "with its marks");
	keeps(s);
	loses_its_newest(s);
	maps_later(s);
	waits_its_turn(s);
	sees_another_file(s);
	prefers(s);
	finds_backfilled(s);
	reprocesses_without_its_last();
	refuses("workspace_id", "''");
	refuses("workspace_id", "NULL");
	refuses("project_id, workspace_id", "'backend', 'w'");
	refuses("project_id, workspace_id", "'', 'w'");
	refuses("project_slug, workspace_id", "'a b', 'w'");
	refuses("project_slug, workspace_id", "'[ab', 'w'");
	refuses("project_slug, workspace_id", "'a[]b', 'w'");
	refuses("installation, workspace_id", "' ', 'w'");
	ok(ask("SELECT count(*) FROM pragma_integrity_check "
	    "WHERE integrity_check = 'ok'") == 1, "the file is sound");
	db_close(s);
	foreign_files();
	return shell_end() != 0 ? 1 : tap_done();
}
