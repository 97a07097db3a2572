#include "store/reprocess.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "hook/observation.h"
#include "hook/pii.h"
#include "hook/redact.h"
#include "store/backfilled.h"
#include "store/issue_release.h"
#include "store/replay_id.h"
#include "store/reprocess_compare.h"
#include "store/store.h"

#define BATCH		64	/* hooks observed, and rows written, at once; */
#define BATCH_BYTES	1048576	/* less where these have so many bytes: a row
				 * that is marked is written with its body */
#define WINDOW		4096	/* ids looked at in one reading */
#define LOCK_WAIT_S	5	/* while another process has the lock */

enum statement {
	SQL_LAST, SQL_AFTER, SQL_NEXT, SQL_RELEASE, SQL_BACKFILLED,
	STATEMENTS
};

/* Columns of SQL_NEXT. */
enum column {
	COL_ID, COL_RECEIVED, COL_RESOURCE, COL_REQUEST, COL_IDEMPOTENCY,
	COL_TIMESTAMP, COL_SECRET, COL_BACKFILLED, COL_KEY, COL_BODY,
	COL_EVENT_ID, COL_STATE,	/* NULL without a row in the outbox */
	COL_COMPARED	/* and the further ones, as in table */
};
#define COL_RELEASE	(COL_COMPARED + 6)
#define COL_ATTEMPTS	(COL_COMPARED + 8)	/* behind them */

static const char *const statements[STATEMENTS] = {
	[SQL_LAST] = "SELECT coalesce(max(id), 0) FROM webhook",
	[SQL_AFTER] =
	    "SELECT id FROM webhook WHERE id > ?1 ORDER BY id LIMIT 1",
	[SQL_NEXT] =
	    "SELECT w.id, w.received_at, w.resource, w.request_id,"
	    " w.idempotency_key, w.hook_timestamp, w.secret_name,"
	    " w.origin = 'backfill', lower(hex(w.dedupe_key)), w.body,"
	    " o.event_id, o.state, o.source_event, o.project_id,"
	    " o.project_slug, o.issue_id, o.short_id, o.level, o.release,"
	    " o.environment, o.attempts"
	    " FROM webhook w LEFT JOIN outbox o ON o.webhook_id = w.id"
	    " WHERE w.id > ?1 AND w.id <= ?2 AND w.received_at >= ?3"
	    " AND (?4 = 0 OR w.received_at <= ?4)"
	    " AND (?5 IS NULL OR w.resource = ?5)"
	    " AND (?6 IS NULL OR w.action = ?6)"
	    " AND (?7 IS NULL OR w.outcome = ?7)"
	    " ORDER BY w.id LIMIT ?8",
	[SQL_RELEASE] = ISSUE_RELEASE_FIND,
	[SQL_BACKFILLED] = BACKFILLED_KNOWN,
};
static_assert(STATEMENTS <= DB_STATEMENTS_MAX, "raise DB_STATEMENTS_MAX");

/* What a row and an observation are compared by; the source event holds the
 * title, the type and the others. */
static const struct {
	enum observation_field	 field;
	const char		*name;
} compared[] = {
	{ OBSERVED_SOURCE_EVENT, "" },	/* by its members */
	{ OBSERVED_PROJECT_ID, "project_id" },
	{ OBSERVED_PROJECT_SLUG, "project_slug" },
	{ OBSERVED_ISSUE_ID, "issue_id" },
	{ OBSERVED_SHORT_ID, "short_id" },
	{ OBSERVED_LEVEL, "level" },
	{ OBSERVED_RELEASE, "release" },
	{ OBSERVED_ENVIRONMENT, "environment" },
};
#define COMPARED	(sizeof(compared) / sizeof(compared[0]))

/* A row that is to be written. */
struct item {
	int64_t			 webhook, received_at;
	struct observation	 observation;
	struct text		 event_id;	/* the row's, from now on */
	struct text		 old_id, old_state;	/* empty: no row */
};

struct reprocess {
	const struct reprocess_options	*options;
	struct db	*reading, *writing;
	int64_t		 place;		/* the last id that was looked at */
	int64_t		 last;		/* the highest one at the start */
	int64_t		 run;		/* of table replay; 0: not yet */
	struct item	 item[BATCH];
	unsigned	 items;
	size_t		 bytes;		/* of the bodies of these hooks */
};

/* ---- opening ---- */

enum fault
reprocess_open(struct reprocess **out, const struct reprocess_options *o,
    char why[DB_WHY])
{
	struct reprocess *r = calloc(1, sizeof(*r));
	enum fault f = FAULT_MEMORY;
	bool row;

	*out = NULL;
	snprintf(why, DB_WHY, "%s", fault_name(f));
	if (r == NULL)
		return f;
	r->options = o;
	if ((f = store_open(&r->writing, o->db, DB_WRITE, why)) !=
	    FAULT_NONE || (f = db_open(&r->reading, o->db, DB_READ, statements,
	    STATEMENTS, why)) != FAULT_NONE) {
		reprocess_close(r);
		return f;
	}
	f = db_step(r->reading, SQL_LAST, &row);
	r->last = row ? db_int(r->reading, SQL_LAST, 0) : 0;
	db_finish(r->reading, SQL_LAST);
	if (f != FAULT_NONE) {
		snprintf(why, DB_WHY, "%s", db_why(r->reading));
		reprocess_close(r);
		return f;
	}
	*out = r;
	return f;
}

static void
release_items(struct reprocess *r)
{
	for (unsigned i = 0; i < r->items; i++) {
		observation_release(&r->item[i].observation);
		text_release(&r->item[i].event_id);
		text_release(&r->item[i].old_id);
		text_release(&r->item[i].old_state);
	}
	r->items = 0;
	r->bytes = 0;
}

void
reprocess_close(struct reprocess *r)
{
	release_items(r);
	if (r->reading != NULL)
		db_close(r->reading);
	if (r->writing != NULL)
		db_close(r->writing);
	free(r);
}

int64_t
reprocess_done(const struct reprocess *r, int64_t *all)
{
	*all = r->last;
	return r->place < r->last ? r->place : r->last;
}

/* ---- one hook ---- */

/* Whether the row in SQL_NEXT would change; then its members are counted. */
static enum fault
compare_row(struct reprocess *r, const struct observation *o,
    struct reprocess_count *c, bool *changes)
{
	enum fault f = FAULT_NONE;

	*changes = false;
	for (size_t i = 0; i < COMPARED && f == FAULT_NONE; i++) {
		struct span old = db_text(r->reading, SQL_NEXT,
		    COL_COMPARED + (int)i);
		struct span new = observation_get(o, compared[i].field);

		if ((old.at == NULL) == (new.at == NULL) &&
		    span_same(old, new))
			continue;
		*changes = true;
		if (i == 0)
			f = reprocess_compare_events(c, old, new);
		else
			reprocess_count_member(c, compared[i].name);
	}
	return f;
}

static struct hook
hook_in_row(struct reprocess *r)
{
	struct db *d = r->reading;
	struct hook hook = {
		.received_at = db_int(d, SQL_NEXT, COL_RECEIVED),
		.resource = db_text(d, SQL_NEXT, COL_RESOURCE),
		.timestamp = db_text(d, SQL_NEXT, COL_TIMESTAMP),
		.request_id = db_text(d, SQL_NEXT, COL_REQUEST),
		.idempotency_key = db_text(d, SQL_NEXT, COL_IDEMPOTENCY),
		.secret_name = db_text(d, SQL_NEXT, COL_SECRET),
		/* Not its key, but the event id is made of what is kept. */
		.dedupe_key = db_text(d, SQL_NEXT, COL_KEY),
		.body = db_text(d, SQL_NEXT, COL_BODY),
		.backfilled = db_int(d, SQL_NEXT, COL_BACKFILLED) != 0,
	};

	if (hook.body.at == NULL)
		hook.body = span_of("");
	return hook;
}

static bool
project_is_meant(const struct reprocess *r, const struct observation *o)
{
	struct span project = r->options->select.project;

	return project.at == NULL ||
	    pii_same(observation_get(o, OBSERVED_PROJECT_ID), project) ||
	    pii_same(observation_get(o, OBSERVED_PROJECT_SLUG), project);
}

static bool
has_mark(struct span body, const char *mark)
{
	return memmem(body.at, body.len, mark, strlen(mark)) != NULL;
}

static bool
is_redacted(struct span body)
{
	return has_mark(body, "[email]") || has_mark(body, "[ip]") ||
	    has_mark(body, "[name]");
}

/* Takes over the observation. */
static enum fault
add_item(struct reprocess *r, struct observation *o)
{
	struct item *item = &r->item[r->items++];
	struct span old = db_text(r->reading, SQL_NEXT, COL_EVENT_ID);
	struct span state = db_text(r->reading, SQL_NEXT, COL_STATE);

	r->bytes += db_text(r->reading, SQL_NEXT, COL_BODY).len;
	*item = (struct item){
		.webhook = db_int(r->reading, SQL_NEXT, COL_ID),
		.received_at = db_int(r->reading, SQL_NEXT, COL_RECEIVED),
		.observation = *o,
	};
	*o = (struct observation){ .outcome = OUTCOME_UNREADABLE };
	if (old.at == NULL) {
		text_str(&item->event_id, "sentry-");
		text_span(&item->event_id, db_text(r->reading, SQL_NEXT,
		    COL_KEY));
	} else if (span_is(state, "acked") || span_is(state, "delivered")) {
		replay_id_next(&item->event_id, old);
	} else {
		text_span(&item->event_id, old);
	}
	text_span(&item->old_id, old);
	text_span(&item->old_state, state);
	return item->event_id.broken || item->old_id.broken ||
	    item->old_state.broken ? FAULT_MEMORY : FAULT_NONE;
}

/* A hook without a row gets one; but not where its change was backfilled. */
static enum fault
compare_without_row(struct reprocess *r, const struct hook *hook,
    struct observation *o, struct reprocess_count *c)
{
	bool backfilled;
	enum fault f = backfilled_is_known(r->reading, SQL_BACKFILLED, hook, o,
	    &backfilled);

	if (f != FAULT_NONE)
		return f;
	if (backfilled) {
		c->without++;
		return FAULT_NONE;
	}
	c->added++;
	return r->options->write ? add_item(r, o) : FAULT_NONE;
}

/* What becomes of the hook that stands in SQL_NEXT. */
static enum fault
compare_observation(struct reprocess *r, const struct hook *hook,
    struct observation *o, struct reprocess_count *c)
{
	const struct reprocess_options *op = r->options;
	struct span state = db_text(r->reading, SQL_NEXT, COL_STATE);
	bool changes, allowed = op->write;
	enum fault f;

	c->hooks++;
	if (o->outcome != OUTCOME_OBSERVED) {
		*(state.at == NULL ? &c->without : &c->same) += 1;
		return FAULT_NONE;
	}
	if (state.at == NULL)
		return compare_without_row(r, hook, o, c);
	f = compare_row(r, o, c, &changes);
	if (f != FAULT_NONE || !changes) {
		c->same += f == FAULT_NONE;
		return f;
	}
	if (span_is(state, "acked") || span_is(state, "delivered")) {
		c->delivered++;
		allowed = allowed && op->new_id;
	} else {
		c->waiting++;
		c->tried += db_int(r->reading, SQL_NEXT, COL_ATTEMPTS) > 0;
		allowed = allowed && op->update;
	}
	return allowed ? add_item(r, o) : f;
}

/* Adds the release that a hook about an issue does not name: the one that its
 * row has, so that a row stays what it was where the rules are what they were;
 * without a row the one that was known when the hook came. */
static enum fault
find_release(struct reprocess *r, const struct hook *hook,
    struct observation *o)
{
	struct span release = db_text(r->reading, SQL_NEXT, COL_RELEASE);

	if (db_text(r->reading, SQL_NEXT, COL_STATE).at == NULL)
		return issue_release_find(r->reading, SQL_RELEASE,
		    hook->received_at, hook, o);
	return o->outcome == OUTCOME_OBSERVED && o->needs_release &&
	    release.len > 0 && observation_set_release(o, hook, release) != 0 ?
	    FAULT_MEMORY : FAULT_NONE;
}

static enum fault
compare_hook(struct reprocess *r, struct reprocess_count *c)
{
	struct hook hook = hook_in_row(r);
	struct observation o = { .outcome = OUTCOME_UNREADABLE };
	struct span body = hook.body;
	struct text redacted = { 0 };
	enum fault f = FAULT_NONE;

	if (r->options->redact) {
		int rc = redact(&redacted, hook.body);

		if (rc == 0)
			hook.body = text_view(&redacted);
		f = rc < 0 ? FAULT_MEMORY : FAULT_NONE;
	}
	if (f == FAULT_NONE && observation_make(&o, &hook,
	    r->options->observe_list) != 0)
		f = FAULT_MEMORY;
	if (f == FAULT_NONE)
		f = find_release(r, &hook, &o);
	if (f == FAULT_NONE && project_is_meant(r, &o)) {
		c->redacted += is_redacted(body);
		f = compare_observation(r, &hook, &o, c);
	}
	observation_release(&o);
	text_release(&redacted);
	return f;
}

/* ---- a batch of them ---- */

/* To the next id that there is: somebody may have set one far ahead. The last
 * one may be gone by now. */
static enum fault
skip_gap(struct reprocess *r)
{
	bool row;
	enum fault f;

	db_bind_int(r->reading, SQL_AFTER, 1, r->place);
	f = db_step(r->reading, SQL_AFTER, &row);
	if (f == FAULT_NONE)
		r->place = row ? db_int(r->reading, SQL_AFTER, 0) - 1 :
		    r->last;
	db_finish(r->reading, SQL_AFTER);
	return f;
}

/* Reads and compares some hooks. */
static enum fault
next_hooks(struct reprocess *r, struct reprocess_count *c)
{
	const struct reprocess_selection *s = &r->options->select;
	struct db *d = r->reading;
	int64_t end = r->last - r->place > WINDOW ? r->place + WINDOW :
	    r->last;
	unsigned rows = 0;
	bool full = false, row;
	enum fault f;

	db_bind_int(d, SQL_NEXT, 1, r->place);
	db_bind_int(d, SQL_NEXT, 2, end);
	db_bind_int(d, SQL_NEXT, 3, s->since);
	db_bind_int(d, SQL_NEXT, 4, s->until);
	db_bind_text(d, SQL_NEXT, 5, s->resource);
	db_bind_text(d, SQL_NEXT, 6, s->action);
	db_bind_text(d, SQL_NEXT, 7, s->outcome);
	db_bind_int(d, SQL_NEXT, 8, BATCH);
	while (!full && (f = db_step(d, SQL_NEXT, &row)) == FAULT_NONE &&
	    row) {
		r->place = db_int(d, SQL_NEXT, COL_ID);
		if ((f = compare_hook(r, c)) != FAULT_NONE)
			break;
		full = ++rows == BATCH || r->bytes >= BATCH_BYTES;
	}
	db_finish(d, SQL_NEXT);
	if (f == FAULT_NONE && !full)
		r->place = end;
	return f == FAULT_NONE && rows == 0 ? skip_gap(r) : f;
}

/* Marks the hook and writes its row. Whichever comes first finds out whether
 * somebody has changed or deleted it since it was read. */
static enum fault
write_item(struct reprocess *r, const struct item *item, int64_t now,
    bool *written)
{
	struct store_row row = { item->webhook, item->received_at,
	    text_view(&item->event_id), &item->observation };
	bool had_row = item->old_id.len > 0, unmapped;
	enum fault f = FAULT_NONE;

	*written = true;
	if (had_row)
		f = store_replace_row(r->writing, &row,
		    text_view(&item->old_id), text_view(&item->old_state),
		    now, written);
	if (f == FAULT_NONE && *written)
		f = store_mark_observed(r->writing, item->webhook,
		    &item->observation, had_row, now, written);
	if (f == FAULT_NONE && *written && !had_row)
		f = store_add_row(r->writing, &row, &unmapped);
	if (f == FAULT_NONE && *written && item->observation.is_event)
		f = store_put_release(r->writing, item->received_at,
		    &item->observation);
	return f;
}

static enum fault
write_items(struct reprocess *r, struct reprocess_count *c)
{
	int64_t now = clock_wall_ms(), rows = 0;
	enum fault f = db_insist(r->writing, db_begin, LOCK_WAIT_S);
	bool written;

	if (f != FAULT_NONE)
		return f;
	for (unsigned i = 0; i < r->items && f == FAULT_NONE; i++) {
		f = write_item(r, &r->item[i], now, &written);
		rows += f == FAULT_NONE && written;
	}
	if (f == FAULT_NONE && rows > 0)
		f = store_note_run(r->writing, &r->run, rows, now,
		    r->options->words, r->options->new_id);
	f = db_end(r->writing, f);
	c->written += f == FAULT_NONE ? (unsigned long)rows : 0;
	return f;
}

/* The write lock belongs to the worker, too: it is left alone for as long as
 * it was held. */
static enum fault
write_and_rest(struct reprocess *r, struct reprocess_count *c)
{
	int64_t from = clock_us(), took;
	enum fault f = write_items(r, c);

	/* Where no worker keeps the log short. */
	if (f == FAULT_NONE)
		f = db_checkpoint(r->writing, true);
	took = clock_us() - from;
	nanosleep(&(struct timespec){ .tv_sec = took / 1000000,
	    .tv_nsec = took % 1000000 * 1000 }, NULL);
	return f;
}

enum fault
reprocess_next(struct reprocess *r, struct reprocess_count *c, bool *end)
{
	enum fault f = next_hooks(r, c);

	if (f == FAULT_NONE && r->items > 0)
		f = write_and_rest(r, c);
	release_items(r);
	*end = r->place >= r->last;
	return f;
}
