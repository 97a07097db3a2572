#include "deliver/queue.h"

#include <assert.h>
#include <stdio.h>

#include "sink/envelope.h"

#define VACUUM_PAGES	64	/* given back after a batch of deletions */
#define READ_MOST_ROWS	10000	/* taken or passed over in one reading */

enum queue_statement {
	SQL_FRESH, SQL_TRIED, SQL_NEWEST, SQL_FIRST,
	SQL_DELIVERED, SQL_ACKED, SQL_LATER, SQL_DEAD,
	SQL_TO_CONFIRM, SQL_CONFIRM, SQL_LOST, SQL_HIGHEST, SQL_REQUEUE,
	SQL_PRUNE_AT, SQL_PRUNE, SQL_PRUNE_HOOK_AT, SQL_PRUNE_HOOK,
	SQL_BACKLOG,
	STATEMENTS
};

/* A fate is written only if the row is still as it was sent. State, event id
 * and attempts show that nobody has replayed it meanwhile. Of an event id that
 * is longer than ROW_EVENT_ID only the beginning is compared; otherwise its
 * fate would never be written, and the row be sent for ever. */
#define AS_SENT	" WHERE id = ?1 AND state = 'pending'" \
		" AND attempts & 4294967295 = ?6" \
		" AND substr(event_id, 1, 95) = ?2"
static_assert(ROW_EVENT_ID == 96, "AS_SENT has this number, less the NUL");

/* Likewise for a row that the stream was asked for: it may have been replayed
 * meanwhile, and acknowledged again. */
#define AS_ACKED \
		" WHERE id = ?1 AND state = 'acked' AND sink_seq = ?3" \
		" AND due_at = ?4"

/* The expression of the index outbox_pending: 0 for a row that was never
 * tried. */
#define DUE	"CASE attempts WHEN 0 THEN 0 ELSE max(due_at, 1) END"
#define PENDING	"SELECT id, " DUE ", attempts, event_id, created_at," \
		" workspace_id, store_id, source_event FROM outbox" \
		" INDEXED BY outbox_pending WHERE state = 'pending' AND "

static const char *const statements[STATEMENTS] = {
	[SQL_FRESH] = PENDING DUE " = 0 AND id > ?1 ORDER BY id",
	[SQL_TRIED] = PENDING DUE " > 0 AND (" DUE ", id) > (?1, ?2)"
	    " AND " DUE " <= ?3 ORDER BY " DUE ", id",
	[SQL_NEWEST] =
	    "SELECT seq FROM sqlite_sequence WHERE name = 'outbox'",
	[SQL_FIRST] = PENDING DUE " = 0 ORDER BY id LIMIT 1",
	[SQL_DELIVERED] =
	    "UPDATE outbox SET state = 'delivered', attempts = attempts + 1,"
	    " delivered_at = ?3, sink = ?4, sink_seq = NULL,"
	    " last_error = NULL" AS_SENT,
	[SQL_ACKED] =
	    "UPDATE outbox SET state = 'acked', attempts = attempts + 1,"
	    " due_at = ?3, sink = ?4, sink_seq = ?5, last_error = NULL" AS_SENT,
	[SQL_LATER] =
	    "UPDATE outbox SET attempts = attempts + 1, due_at = ?3,"
	    " sink = ?4, last_error = ?5" AS_SENT,
	[SQL_DEAD] =
	    "UPDATE outbox SET state = 'dead', attempts = attempts + 1,"
	    " sink = ?4, last_error = ?5" AS_SENT,
	[SQL_TO_CONFIRM] =
	    "SELECT id, sink_seq, event_id, due_at FROM outbox"
	    " WHERE state = 'acked' AND due_at <= ?1 AND sink = ?2"
	    " AND due_at > ?4"
	    " ORDER BY due_at, sink_seq LIMIT ?3",
	[SQL_CONFIRM] =
	    "UPDATE outbox SET state = 'delivered', delivered_at = ?2" AS_ACKED,
	[SQL_LOST] =
	    "UPDATE outbox SET state = 'pending', due_at = ?2,"
	    " sink_seq = NULL, last_error = 'the stream has lost it'" AS_ACKED,
	[SQL_HIGHEST] =
	    "SELECT max(sink_seq) FROM outbox WHERE state = 'acked'"
	    " AND sink = ?1",
	[SQL_REQUEUE] =
	    "UPDATE outbox SET state = 'pending', due_at = ?4,"
	    " sink_seq = NULL, last_error = 'the stream has lost it'"
	    " WHERE id IN (SELECT id FROM outbox WHERE state = 'acked' AND"
	    " (sink >= ?1 || '@' AND sink < ?1 || 'A' AND sink <> ?2"
	    " OR sink = ?2 AND sink_seq > ?3) LIMIT ?5)",
	[SQL_PRUNE_AT] =
	    "SELECT id, created_at FROM outbox WHERE id > ?1 ORDER BY id"
	    " LIMIT 1",
	[SQL_PRUNE] =
	    "DELETE FROM outbox WHERE id BETWEEN ?1 AND ?2"
	    " AND state = 'delivered' AND created_at < ?3",
	[SQL_PRUNE_HOOK_AT] =
	    "SELECT id, received_at FROM webhook WHERE id > ?1 ORDER BY id"
	    " LIMIT 1",
	[SQL_PRUNE_HOOK] =
	    "DELETE FROM webhook WHERE id BETWEEN ?1 AND ?2"
	    " AND received_at < ?3 AND NOT EXISTS"
	    " (SELECT 1 FROM outbox WHERE webhook_id = webhook.id)",
	[SQL_BACKLOG] = STORE_BACKLOG,
};
static_assert(STATEMENTS <= DB_STATEMENTS_MAX, "raise DB_STATEMENTS_MAX");

enum fault
queue_open(struct db **d, const char *path, char why[DB_WHY])
{
	return db_open(d, path, DB_WRITE, statements, STATEMENTS, why);
}

enum fault
queue_check_files(struct db *d)
{
	enum fault f = db_begin(d);

	if (f == FAULT_NONE)
		db_rollback(d);
	return f;
}

/* ---- reading ---- */

static struct row *
read_row(struct db *d, enum queue_statement at, unsigned lane)
{
	struct envelope e = {
		.event_id = db_text(d, at, 3),
		.received_at = db_int(d, at, 4),
		.workspace_id = db_text(d, at, 5),
		.store_id = db_text(d, at, 6),
		.source_event = db_text(d, at, 7),
	};
	struct row *r = row_new();

	if (r == NULL)
		return NULL;
	r->id = db_int(d, at, 0);
	r->attempts = (unsigned)db_int(d, at, 2);
	snprintf(r->event_id, sizeof(r->event_id), "%.*s",
	    (int)e.event_id.len, e.event_id.at);
	text_span(&r->workspace_id, e.workspace_id);
	r->lane = lane;
	envelope_write(&r->envelope, &e);
	if (r->workspace_id.broken || r->envelope.broken) {
		row_free(r);
		return NULL;
	}
	return r;
}

/* Shows the visitor the rows that a statement returns, until it stops. */
static enum fault
read_rows(struct db *d, enum queue_statement at, struct queue_place *place,
    const struct queue_visitor *to, bool *end)
{
	enum fault f = FAULT_NONE;
	bool row = true;

	for (int left = READ_MOST_ROWS; left > 0 &&
	    (f = db_step(d, at, &row)) == FAULT_NONE && row; left--) {
		unsigned lane = row_lane(db_text(d, at, 5));
		struct row *r = NULL;
		enum pick pick = to->pick(to->arg, db_int(d, at, 0), lane);

		if (pick == PICK_TAKE && (r = read_row(d, at, lane)) == NULL)
			f = FAULT_MEMORY;
		if (pick == PICK_STOP || f != FAULT_NONE)
			break;
		place->due_at = db_int(d, at, 1);
		place->id = db_int(d, at, 0);
		if (r != NULL)
			to->take(to->arg, r);
	}
	*end = f == FAULT_NONE && !row;
	db_finish(d, at);
	return f;
}

static enum fault
read_tried(struct db *d, struct queue_place *place, int64_t until,
    const struct queue_visitor *to, bool *end)
{
	db_bind_int(d, SQL_TRIED, 1, place->due_at);
	db_bind_int(d, SQL_TRIED, 2, place->id);
	db_bind_int(d, SQL_TRIED, 3, until);
	return read_rows(d, SQL_TRIED, place, to, end);
}

enum fault
queue_next(struct db *d, bool tried, struct queue_place *place, int64_t due,
    const struct queue_visitor *to, bool *end)
{
	int64_t far = due + QUEUE_FAR_MS;
	enum fault f;

	if (!tried) {
		db_bind_int(d, SQL_FRESH, 1, place->id);
		return read_rows(d, SQL_FRESH, place, to, end);
	}
	if (place->due_at < far) {
		f = read_tried(d, place, due, to, end);
		if (f != FAULT_NONE || !*end)
			return f;
		*place = (struct queue_place){ far, INT64_MAX };
	}
	return read_tried(d, place, INT64_MAX, to, end);
}

enum fault
queue_newest(struct db *d, int64_t *id, int64_t *backlog)
{
	bool row;
	enum fault f = db_step(d, SQL_NEWEST, &row);

	*backlog = 0;
	*id = row ? db_int(d, SQL_NEWEST, 0) : 0;
	db_finish(d, SQL_NEWEST);
	if (f != FAULT_NONE)
		return f;
	if ((f = db_step(d, SQL_FIRST, &row)) == FAULT_NONE && row)
		*backlog = *id - db_int(d, SQL_FIRST, 0) + 1;
	db_finish(d, SQL_FIRST);
	return f;
}

enum fault
queue_count_backlog(struct db *d, struct backlog *c)
{
	return store_count_backlog_of(d, SQL_BACKLOG, c);
}

/* ---- fates ---- */

static enum fault
write_fate(struct db *d, const struct row *r, int64_t now, const char *sink)
{
	enum queue_statement which = SQL_DEAD;

	switch (r->fate) {
	case FATE_DELIVERED:
		which = SQL_DELIVERED;
		db_bind_int(d, which, 3, now);
		break;
	case FATE_ACKED:
		which = SQL_ACKED;
		db_bind_int(d, which, 3, r->due_at);
		db_bind_int(d, which, 5, (int64_t)r->seq);
		break;
	case FATE_LATER:
	case FATE_UNREACHABLE:
		which = SQL_LATER;
		db_bind_int(d, which, 3, r->due_at);
		db_bind_text(d, which, 5, span_of(r->why));
		break;
	case FATE_REFUSED:
		db_bind_text(d, which, 5, span_of(r->why));
		break;
	case FATE_MISCONFIGURED:
		return FAULT_NONE;
	}
	db_bind_int(d, which, 1, r->id);
	db_bind_text(d, which, 2, span_of(r->event_id));
	db_bind_text(d, which, 4, span_of(sink));
	db_bind_int(d, which, 6, r->attempts);
	return db_run(d, which);
}

enum fault
queue_write_fates(struct db *d, const struct row *r, int64_t now,
    const char *sink)
{
	enum fault f = db_begin(d);

	if (f != FAULT_NONE)
		return f;
	for (; r != NULL && f == FAULT_NONE; r = r->next)
		f = write_fate(d, r, now, sink);
	return db_end_and_checkpoint(d, f);
}

/* ---- confirming ---- */

enum fault
queue_acked(struct db *d, int64_t from, int64_t until, const char *sink,
    struct queue_acked *to, unsigned limit, unsigned *count)
{
	enum fault f = FAULT_NONE;
	bool row;

	*count = 0;
	db_bind_int(d, SQL_TO_CONFIRM, 1, until);
	db_bind_text(d, SQL_TO_CONFIRM, 2, span_of(sink));
	db_bind_int(d, SQL_TO_CONFIRM, 3, limit);
	db_bind_int(d, SQL_TO_CONFIRM, 4, from);
	while (*count < limit && (f = db_step(d, SQL_TO_CONFIRM, &row)) ==
	    FAULT_NONE && row) {
		struct span id = db_text(d, SQL_TO_CONFIRM, 2);
		struct queue_acked *a = &to[(*count)++];

		*a = (struct queue_acked){ .id = db_int(d, SQL_TO_CONFIRM, 0),
		    .seq = (uint64_t)db_int(d, SQL_TO_CONFIRM, 1),
		    .due_at = db_int(d, SQL_TO_CONFIRM, 3) };
		snprintf(a->event_id, sizeof(a->event_id), "%.*s",
		    (int)id.len, id.at);
	}
	db_finish(d, SQL_TO_CONFIRM);
	return f;
}

enum fault
queue_confirm(struct db *d, const struct queue_acked *a, unsigned count,
    int64_t now, int64_t due)
{
	enum fault f = db_begin(d);

	if (f != FAULT_NONE)
		return f;
	for (unsigned i = 0; i < count && f == FAULT_NONE; i++) {
		enum queue_statement which = a[i].lost ? SQL_LOST : SQL_CONFIRM;

		db_bind_int(d, which, 1, a[i].id);
		db_bind_int(d, which, 2, a[i].lost ? due : now);
		db_bind_int(d, which, 3, (int64_t)a[i].seq);
		db_bind_int(d, which, 4, a[i].due_at);
		f = db_run(d, which);
	}
	return db_end_and_checkpoint(d, f);
}

enum fault
queue_highest(struct db *d, const char *sink, uint64_t *seq)
{
	enum fault f;
	bool row;

	db_bind_text(d, SQL_HIGHEST, 1, span_of(sink));
	f = db_step(d, SQL_HIGHEST, &row);
	*seq = row ? (uint64_t)db_int(d, SQL_HIGHEST, 0) : 0;
	db_finish(d, SQL_HIGHEST);
	return f;
}

enum fault
queue_requeue(struct db *d, const char *stream, const char *sink,
    uint64_t last_seq, int64_t due, unsigned limit, unsigned *count)
{
	enum fault f = db_begin(d);

	*count = 0;
	if (f != FAULT_NONE)
		return f;
	db_bind_text(d, SQL_REQUEUE, 1, span_of(stream));
	db_bind_text(d, SQL_REQUEUE, 2, span_of(sink));
	db_bind_int(d, SQL_REQUEUE, 3, (int64_t)last_seq);
	db_bind_int(d, SQL_REQUEUE, 4, due);
	db_bind_int(d, SQL_REQUEUE, 5, limit);
	f = db_run(d, SQL_REQUEUE);
	*count = (unsigned)db_changes(d);
	return db_end_and_checkpoint(d, f);
}

/* ---- pruning ---- */

/* For rows, and for hooks: finds the next one; deletes. */
static const struct { enum queue_statement at, prune; } prune_tables[2] = {
	{ SQL_PRUNE_AT, SQL_PRUNE }, { SQL_PRUNE_HOOK_AT, SQL_PRUNE_HOOK }
};

/* How many ids are still to be looked at, if as many came in each hour. `first`
 * is the next one, received at `received`. */
static int64_t
guess_left(struct db *d, int64_t first, int64_t received, int64_t before,
    int64_t now)
{
	int64_t newest, backlog;

	if (received >= before || queue_newest(d, &newest, &backlog) !=
	    FAULT_NONE || newest <= first)
		return 0;
	return (int64_t)((double)(newest - first) *
	    (double)(before - received) / (double)(now - received));
}

/* Deletes among the next `span` ids of a table. The table has ended when the
 * next one is not older than `before`, or there is none. One that was received
 * later than `now` came while the clock was wrong, and does not show how old
 * those behind it are: it does not end the table. */
static enum fault
prune_table(struct db *d, bool hooks, struct queue_prune_place *place,
    int64_t before, int64_t now, unsigned span, unsigned *deleted)
{
	enum queue_statement at = prune_tables[hooks].at;
	enum queue_statement prune = prune_tables[hooks].prune;
	int64_t first, received;
	enum fault f;
	bool row;

	db_bind_int(d, at, 1, place->id[hooks]);
	f = db_step(d, at, &row);
	received = row ? db_int(d, at, 1) : 0;
	first = row && (received < before || received > now) ?
	    db_int(d, at, 0) : 0;
	db_finish(d, at);
	place->id[hooks] = first + span - 1;
	if (f != FAULT_NONE)
		return f;
	place->ended[hooks] = first == 0;
	place->left = first == 0 ? 0 : guess_left(d, first, received, before,
	    now);
	if (first == 0)
		return f;
	db_bind_int(d, prune, 1, first);
	db_bind_int(d, prune, 2, place->id[hooks]);
	db_bind_int(d, prune, 3, before);
	if ((f = db_run(d, prune)) == FAULT_NONE)
		*deleted = (unsigned)db_changes(d);
	return f == FAULT_NONE && *deleted > 0 ?
	    db_shrink(d, VACUUM_PAGES) : f;
}

enum fault
queue_prune(struct db *d, struct queue_prune_place *place, int64_t before,
    int64_t now, unsigned span, unsigned *deleted, bool *end)
{
	struct queue_prune_place next = *place;
	enum fault f = db_begin(d);

	*deleted = 0;
	*end = false;
	if (f != FAULT_NONE)
		return f;
	/* A row's id is not above its hook's. So if rows come first, and then
	 * both tables in turn, a hook has lost its row when it is looked at. */
	f = prune_table(d, next.hooks, &next, before, now, span, deleted);
	if ((f = db_end_and_checkpoint(d, f)) != FAULT_NONE)
		return f;
	*end = next.ended[0] && next.ended[1];
	if (!next.ended[!next.hooks])
		next.hooks = !next.hooks;
	if (*end)
		next = (struct queue_prune_place){ 0 };
	*place = next;
	return FAULT_NONE;
}
