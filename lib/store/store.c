/* What the worker keeps: a hook, its row of the outbox, the row's workspace.
 * store_put() takes these steps, in one transaction of its caller:
 *   1. backfilled_find()	counts the hook if it was backfilled before it
 *				came; then no other step follows
 *   2. put_webhook()		inserts the hook. If it is there already, only
 *				count_seen() follows
 *   3. issue_release_find()	may give its observation a release
 *				(issue_release.h)
 *   4. store_add_row()		looks for the project's workspace, and inserts
 *				the row of the outbox
 *   5. store_put_release()	keeps the release that the hook itself names */
#include "store/store.h"

#include <assert.h>

#include "store/backfilled.h"
#include "store/issue_release.h"
#include "store/mapping.h"

#define DEDUPE_KEY_BYTES	16	/* of webhook.dedupe_key */

enum statement {
	SQL_WEBHOOK, SQL_SEEN, SQL_OUTBOX, SQL_REPLACE, SQL_OUTCOME,
	SQL_RUN, SQL_RUN_ROWS,
	SQL_MAP, SQL_PUT_RELEASE, SQL_FIND_RELEASE,
	SQL_BACKFILLED,
	SQL_PROBE, SQL_EDITS, SQL_UNMAPPED, SQL_REMAP,
	SQL_BACKLOG,
	STATEMENTS
};

static const char *const statements[STATEMENTS] = {
	[SQL_WEBHOOK] =
	    "INSERT INTO webhook (received_at, resource, action, installation,"
	    " request_id, idempotency_key, hook_timestamp, secret_name,"
	    " dedupe_key, outcome, body, origin)"
	    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)"
	    " ON CONFLICT (dedupe_key) DO NOTHING",
	[SQL_SEEN] =
	    "UPDATE webhook SET seen = seen + 1 WHERE dedupe_key = ?1"
	    " AND NOT (?4 AND request_id IS ?3"
	    " AND (received_at = ?2 OR origin = 'backfill'))"
	    " RETURNING origin = 'hook' AND body <> ?5",
	[SQL_OUTBOX] =
	    "INSERT INTO outbox (webhook_id, event_id, created_at,"
	    " workspace_id, store_id, source_type, source_id, title,"
	    " occurred_at, project_id, project_slug, issue_id, short_id,"
	    " level, release, environment, source_event, state, due_at)"
	    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13,"
	    " ?14, ?15, ?16, ?17, ?18, ?3)",
	/* The parameters are those of SQL_OUTBOX; ?19 is the event id that the
	 * row had, ?20 its state, ?21 when it is due. A pending row may be on
	 * its way to the sink: it pays an attempt, so that the fate of the old
	 * words is not written to the new ones. */
	[SQL_REPLACE] =
	    "UPDATE outbox SET event_id = ?2, workspace_id ="
	    " CASE state WHEN 'dead' THEN coalesce(?4, workspace_id) ELSE ?4"
	    " END, store_id ="
	    " CASE state WHEN 'dead' THEN coalesce(?5, store_id) ELSE ?5 END,"
	    " source_type = ?6, source_id = ?7, title = ?8,"
	    " occurred_at = ?9, project_id = ?10, project_slug = ?11,"
	    " issue_id = ?12, short_id = ?13, level = ?14, release = ?15,"
	    " environment = ?16, source_event = ?17,"
	    " state = CASE state WHEN 'dead' THEN 'dead' ELSE ?18 END,"
	    " attempts = CASE WHEN state = 'pending'"
	    " OR state = 'unmapped' AND attempts > 0 THEN attempts + 1"
	    " WHEN state = 'dead' THEN attempts ELSE 0 END,"
	    " due_at = CASE state WHEN 'dead' THEN due_at ELSE ?21 END,"
	    " delivered_at = NULL, sink_seq = NULL"
	    " WHERE webhook_id = ?1 AND event_id = ?19 AND state = ?20",
	[SQL_OUTCOME] =
	    "UPDATE webhook SET outcome = 'observed', resource = ?2,"
	    " action = ?3, reprocessed_at = ?4 WHERE id = ?1"
	    " AND EXISTS (SELECT 1 FROM outbox WHERE webhook_id = ?1) = ?5",
	[SQL_RUN] =
	    "INSERT INTO replay (at, selection, rows, new_id)"
	    " VALUES (?1, ?2, 0, ?3)",
	[SQL_RUN_ROWS] = "UPDATE replay SET rows = rows + ?2 WHERE id = ?1",
	[SQL_MAP] = MAPPING_FIND,
	[SQL_PUT_RELEASE] = ISSUE_RELEASE_PUT,
	[SQL_FIND_RELEASE] = ISSUE_RELEASE_FIND,
	[SQL_BACKFILLED] = BACKFILLED_FIND,
	[SQL_PROBE] = "UPDATE workspace_map_edits SET edits = edits",
	[SQL_EDITS] = MAPPING_EDITS,
	[SQL_UNMAPPED] = MAPPING_UNMAPPED,
	[SQL_REMAP] = MAPPING_APPLY,
	[SQL_BACKLOG] = STORE_BACKLOG,
};

static_assert(STATEMENTS <= DB_STATEMENTS_MAX, "raise DB_STATEMENTS_MAX");

enum fault
store_open(struct db **d, const char *path, enum db_mode mode,
    char why[DB_WHY])
{
	return db_open(d, path, mode, statements, STATEMENTS, why);
}

/* ---- storing a hook ---- */

/* The 16 bytes that end the event id, sentry-HEX, in hex. */
static struct span
event_key(char key[DEDUPE_KEY_BYTES], const struct observation *o)
{
	static const char digits[] = "0123456789abcdef";
	struct span id = observation_get(o, OBSERVED_EVENT_ID);
	const char *hex = id.at + id.len - (size_t)2 * DEDUPE_KEY_BYTES;

	for (size_t i = 0; i < DEDUPE_KEY_BYTES; i++)
		key[i] = (char)((strchr(digits, hex[2 * i]) - digits) << 4 |
		    (strchr(digits, hex[2 * i + 1]) - digits));
	return (struct span){ key, DEDUPE_KEY_BYTES };
}

static enum fault
put_webhook(struct db *d, const struct hook *h, const struct observation *o,
    struct span key)
{
	const struct span text[] = {
		observation_get(o, OBSERVED_RESOURCE),
		observation_get(o, OBSERVED_ACTION),
		observation_get(o, OBSERVED_INSTALLATION),
		h->request_id, h->idempotency_key, h->timestamp,
		h->secret_name,
	};

	db_bind_int(d, SQL_WEBHOOK, 1, h->received_at);
	for (int i = 0; i < (int)(sizeof(text) / sizeof(text[0])); i++)
		db_bind_text(d, SQL_WEBHOOK, 2 + i, text[i]);
	db_bind_blob(d, SQL_WEBHOOK, 9, key);
	db_bind_text(d, SQL_WEBHOOK, 10, span_of(outcome_name(o->outcome)));
	db_bind_blob(d, SQL_WEBHOOK, 11, h->body);
	db_bind_text(d, SQL_WEBHOOK, 12, span_of(h->backfilled ? "backfill" :
	    "hook"));
	return db_run(d, SQL_WEBHOOK);
}

static enum fault
count_seen(struct db *d, const struct hook *h, struct span key,
    enum origin origin, bool *differs)
{
	enum fault f;
	bool row;

	db_bind_blob(d, SQL_SEEN, 1, key);
	db_bind_int(d, SQL_SEEN, 2, h->received_at);
	db_bind_text(d, SQL_SEEN, 3, h->request_id);
	db_bind_int(d, SQL_SEEN, 4, origin == FROM_SPOOL);
	db_bind_blob(d, SQL_SEEN, 5, h->body);
	f = db_step(d, SQL_SEEN, &row);
	*differs = row && db_int(d, SQL_SEEN, 0) != 0;
	/* Only at its end the UPDATE is complete. */
	if (row)
		f = db_step(d, SQL_SEEN, &row);
	db_finish(d, SQL_SEEN);
	return f;
}

static void
bind_observation(struct db *d, enum statement statement,
    const struct observation *o)
{
	static const struct {
		int		column;
		enum observation_field	field;
	} table[] = {
		{ 6, OBSERVED_SOURCE_TYPE }, { 7, OBSERVED_SOURCE_ID },
		{ 8, OBSERVED_TITLE }, { 9, OBSERVED_OCCURRED_AT },
		{ 10, OBSERVED_PROJECT_ID },
		{ 11, OBSERVED_PROJECT_SLUG }, { 12, OBSERVED_ISSUE_ID },
		{ 13, OBSERVED_SHORT_ID }, { 14, OBSERVED_LEVEL },
		{ 15, OBSERVED_RELEASE }, { 16, OBSERVED_ENVIRONMENT },
		{ 17, OBSERVED_SOURCE_EVENT },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		db_bind_text(d, statement, table[i].column,
		    observation_get(o, table[i].field));
}

/* Runs SQL_OUTBOX or SQL_REPLACE; the caller has bound what only one of them
 * has. */
static enum fault
put_outbox(struct db *d, enum statement statement,
    const struct store_row *row, bool *unmapped)
{
	const struct observation *o = row->observation;
	bool mapped;
	enum fault f = mapping_find(d, SQL_MAP,
	    observation_get(o, OBSERVED_PROJECT_ID),
	    observation_get(o, OBSERVED_PROJECT_SLUG),
	    observation_get(o, OBSERVED_INSTALLATION), &mapped);

	*unmapped = !mapped;
	if (f != FAULT_NONE)
		return f;
	db_bind_int(d, statement, 1, row->webhook_id);
	db_bind_text(d, statement, 2, row->event_id);
	if (mapped)
		f = mapping_bind(d, SQL_MAP, statement, 4);
	db_bind_text(d, statement, 18,
	    span_of(mapped ? "pending" : "unmapped"));
	bind_observation(d, statement, o);
	if (f == FAULT_NONE)
		f = db_run(d, statement);
	else
		db_finish(d, statement);
	if (mapped)
		db_finish(d, SQL_MAP);
	return f;
}

enum fault
store_add_row(struct db *d, const struct store_row *row, bool *unmapped)
{
	db_bind_int(d, SQL_OUTBOX, 3, row->received_at);
	return put_outbox(d, SQL_OUTBOX, row, unmapped);
}

enum fault
store_put(struct db *d, const struct hook *h, struct observation *o,
    enum origin origin, struct stored *stored)
{
	char bytes[DEDUPE_KEY_BYTES];
	struct span key = event_key(bytes, o);
	enum fault f;

	*stored = (struct stored){ false, false, false };
	if ((f = backfilled_find(d, SQL_BACKFILLED, h, o, key,
	    &stored->duplicate)) != FAULT_NONE || stored->duplicate)
		return f;
	if ((f = put_webhook(d, h, o, key)) != FAULT_NONE)
		return f;
	if (db_changes(d) == 0) {
		stored->duplicate = true;
		return count_seen(d, h, key, origin, &stored->differs);
	}
	f = issue_release_find(d, SQL_FIND_RELEASE, INT64_MAX, h, o);
	if (o->outcome == OUTCOME_OBSERVED && f == FAULT_NONE)
		f = store_add_row(d, &(struct store_row){
		    .webhook_id = db_last_id(d), .observation = o,
		    .received_at = h->received_at,
		    .event_id = observation_get(o, OBSERVED_EVENT_ID) },
		    &stored->unmapped);
	return f == FAULT_NONE && o->is_event ?
	    store_put_release(d, h->received_at, o) : f;
}

/* ---- releases of issues, and what reprocess.h writes ---- */

enum fault
store_put_issue_release(struct db *d, struct span issue, struct span release,
    struct span environment, int64_t at)
{
	return issue_release_put(d, SQL_PUT_RELEASE, issue, release,
	    environment, at);
}

enum fault
store_put_release(struct db *d, int64_t received_at,
    const struct observation *o)
{
	return store_put_issue_release(d,
	    observation_get(o, OBSERVED_ISSUE_ID),
	    observation_get(o, OBSERVED_RELEASE),
	    observation_get(o, OBSERVED_ENVIRONMENT), received_at);
}

enum fault
store_replace_row(struct db *d, const struct store_row *row,
    struct span old_id, struct span old_state, int64_t due_at, bool *replaced)
{
	bool unmapped;
	enum fault f;

	db_bind_text(d, SQL_REPLACE, 19, old_id);
	db_bind_text(d, SQL_REPLACE, 20, old_state);
	db_bind_int(d, SQL_REPLACE, 21, due_at);
	f = put_outbox(d, SQL_REPLACE, row, &unmapped);
	*replaced = f == FAULT_NONE && db_changes(d) > 0;
	return f;
}

enum fault
store_mark_observed(struct db *d, int64_t webhook_id,
    const struct observation *o, bool had_row, int64_t now, bool *marked)
{
	enum fault f;

	db_bind_int(d, SQL_OUTCOME, 1, webhook_id);
	db_bind_text(d, SQL_OUTCOME, 2, observation_get(o, OBSERVED_RESOURCE));
	db_bind_text(d, SQL_OUTCOME, 3, observation_get(o, OBSERVED_ACTION));
	db_bind_int(d, SQL_OUTCOME, 4, now);
	db_bind_int(d, SQL_OUTCOME, 5, had_row);
	f = db_run(d, SQL_OUTCOME);
	*marked = f == FAULT_NONE && db_changes(d) > 0;
	return f;
}

enum fault
store_note_run(struct db *d, int64_t *run, int64_t rows, int64_t now,
    struct span selection, bool new_id)
{
	enum fault f = FAULT_NONE;

	if (*run == 0) {
		db_bind_int(d, SQL_RUN, 1, now);
		db_bind_text(d, SQL_RUN, 2, selection);
		db_bind_int(d, SQL_RUN, 3, new_id);
		f = db_run(d, SQL_RUN);
		*run = db_last_id(d);
	}
	db_bind_int(d, SQL_RUN_ROWS, 1, *run);
	db_bind_int(d, SQL_RUN_ROWS, 2, rows);
	return f == FAULT_NONE ? db_run(d, SQL_RUN_ROWS) : f;
}

enum fault
store_probe(struct db *d)
{
	return db_run(d, SQL_PROBE);
}

/* ---- hooks that came before their row of the mapping ---- */

enum fault
store_map_edits(struct db *d, int64_t *edits)
{
	return mapping_edits(d, SQL_EDITS, edits);
}

enum fault
store_remap(struct db *d, int64_t *cursor, unsigned limit, bool *more)
{
	return mapping_apply(d, SQL_MAP, SQL_UNMAPPED, SQL_REMAP, cursor, limit,
	    more);
}

/* ---- counting ---- */

enum fault
store_count_backlog_of(struct db *d, unsigned statement, struct backlog *c)
{
	bool row;
	enum fault f = db_step(d, statement, &row);

	*c = (struct backlog){ .wal_bytes = db_wal_bytes(d) };
	if (row) {
		c->pending = db_int(d, statement, 0);
		c->unmapped = db_int(d, statement, 1);
		c->acked = db_int(d, statement, 2);
		c->dead = db_int(d, statement, 3);
		c->oldest_pending = db_int(d, statement, 4);
		c->oldest_unmapped = db_int(d, statement, 5);
		c->oldest_acked = db_int(d, statement, 6);
		c->oldest_dead = db_int(d, statement, 7);
		c->last_hook = db_int(d, statement, 8);
		c->user_version = db_int(d, statement, 9);
	}
	db_finish(d, statement);
	return f;
}

enum fault
store_count_backlog(struct db *d, struct backlog *c)
{
	return store_count_backlog_of(d, SQL_BACKLOG, c);
}
