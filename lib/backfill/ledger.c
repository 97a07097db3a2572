/* Two connections: `put` is the store's own, with its statements; `look` has
 * those of this file. What is compared and what is put are one transaction all
 * the same: while `put` has the lock, nobody else writes, and `look` sees all
 * that others have committed. */
#include "backfill/ledger.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "backfill/hook_body.h"
#include "base/clock.h"
#include "hook/observe_list.h"
#include "store/received.h"

#define LOCK_WAIT_S	60	/* others write for moments only */
#define UUID_BYTES	64
#define HOOKS_MAX	4096	/* of one issue that are compared */
#define TRANSACTION_BYTES	4194304	/* of bodies; then others may write */

struct ledger {
	struct db		*put, *look;
	struct ledger_rules	 rules;
	char			 uuid[UUID_BYTES];	/* rules.installation */
	struct db		*blamed;	/* its words are the fault's */
	struct match_hook	 hooks[HOOKS_MAX];
};

enum {
	SQL_INSTALLATIONS, SQL_OLDEST, SQL_LAST_BEFORE, SQL_HOOKS, SQL_RELEASE,
	SQL_RUN_FIND, SQL_RUN_BEGIN, SQL_RUN_SAVE, SQL_RUN_COVERED,
	SQL_COUNT
};

/* When a hook was sent, in ms. The header is not signed: where it is a day from
 * when the hook came, that counts. */
#define SENT_MS \
	"CASE WHEN w.origin = 'backfill' OR CAST(w.hook_timestamp AS INTEGER)" \
	" BETWEEN w.received_at / 1000 - 86400" \
	" AND w.received_at / 1000 + 86400" \
	" THEN 1000 * CAST(w.hook_timestamp AS INTEGER)" \
	" ELSE w.received_at END"

/* A selection without its window, with which it begins. */
#define SCOPE(s)	"substr(" s ", instr(" s ", '--horizon '))"

static const char *const ledger_statements[SQL_COUNT] = {
	[SQL_INSTALLATIONS] =
	    "SELECT DISTINCT installation FROM (SELECT installation"
	    " FROM webhook ORDER BY id DESC LIMIT 1000)"
	    " WHERE installation IS NOT NULL LIMIT 2",
	[SQL_OLDEST] =
	    "SELECT received_at FROM webhook WHERE origin = 'hook'"
	    " ORDER BY id LIMIT 1",
	[SQL_LAST_BEFORE] =
	    "SELECT max(sent) FROM (SELECT " SENT_MS " AS sent FROM webhook w"
	    " WHERE w.origin = 'hook' ORDER BY w.id DESC LIMIT 100000)"
	    " WHERE sent < ?1",
	[SQL_HOOKS] =
	    "SELECT w.action, " SENT_MS ", CASE WHEN w.action = 'assigned'"
	    " AND json_valid(CAST(w.body AS TEXT)) THEN json_extract("
	    "CAST(w.body AS TEXT), '$.data.assignee.id') END"
	    " FROM outbox o INDEXED BY outbox_issue"
	    " CROSS JOIN webhook w ON w.id = o.webhook_id"
	    " WHERE o.issue_id = ?1 AND o.source_type GLOB 'issue.*'"
	    /* Before the first hook came nobody knew the installation. */
	    " AND (?4 OR w.installation IS ?2 OR w.installation IS NULL)"
	    " ORDER BY w.id DESC LIMIT ?3",
	[SQL_RELEASE] =
	    "SELECT 1 FROM issue_release WHERE issue_id = ?1 LIMIT 1",
	[SQL_RUN_FIND] =
	    "SELECT id, since, until, list, cursor, rows FROM backfill"
	    " WHERE done_at IS NULL AND selection = ?1 AND at >= ?2"
	    " ORDER BY id DESC LIMIT 1",
	[SQL_RUN_BEGIN] =
	    "INSERT INTO backfill (at, selection, since, until)"
	    " VALUES (?1, ?2, ?3, ?4)",
	[SQL_RUN_SAVE] =
	    "UPDATE backfill SET list = ?2, cursor = ?3, rows = ?4,"
	    " done_at = CASE WHEN ?5 THEN ?6 END WHERE id = ?1",
	[SQL_RUN_COVERED] =
	    "SELECT 1 FROM backfill WHERE done_at IS NOT NULL"
	    " AND since <= ?1 AND until >= ?1 AND " SCOPE("selection") " = "
	    SCOPE("?2") " LIMIT 1",
};

static_assert(SQL_COUNT <= DB_STATEMENTS_MAX, "raise DB_STATEMENTS_MAX");

enum fault
ledger_open(struct ledger **out, const char *path,
    const struct ledger_rules *rules, char why[LEDGER_WHY])
{
	struct ledger *l = calloc(1, sizeof(*l));
	enum fault f = FAULT_MEMORY;

	*out = NULL;
	snprintf(why, LEDGER_WHY, "out of memory");
	if (l == NULL)
		return f;
	l->rules = *rules;
	if ((f = store_open(&l->put, path, DB_WRITE, why)) == FAULT_NONE)
		f = db_open(&l->look, path, DB_WRITE, ledger_statements,
		    SQL_COUNT, why);
	l->blamed = l->look;
	if (f == FAULT_NONE)
		*out = l;
	else
		ledger_close(l);
	return f;
}

void
ledger_close(struct ledger *l)
{
	if (l == NULL)
		return;
	db_close(l->look);
	db_close(l->put);
	free(l);
}

const char *
ledger_why(const struct ledger *l)
{
	return db_why(l->blamed);
}

static enum fault
ledger_begin(struct ledger *l, struct db *d)
{
	l->blamed = d;
	return db_insist(d, db_begin, LOCK_WAIT_S);
}

/* ---- looking ---- */

struct span
ledger_installation(const struct ledger *l)
{
	return l->rules.installation;
}

enum fault
ledger_find_installation(struct ledger *l, bool *several)
{
	enum fault f;
	bool row;

	*several = false;
	if (l->rules.installation.len > 0)
		return FAULT_NONE;
	f = db_step(l->look, SQL_INSTALLATIONS, &row);
	if (row) {
		struct span s = db_text(l->look, SQL_INSTALLATIONS, 0);

		snprintf(l->uuid, sizeof(l->uuid), "%.*s", (int)s.len, s.at);
		l->rules.installation = span_of(l->uuid);
		f = db_step(l->look, SQL_INSTALLATIONS, several);
	}
	db_finish(l->look, SQL_INSTALLATIONS);
	return f;
}

/* The number that a statement gives, 0 if none. */
static enum fault
ledger_number(struct ledger *l, unsigned statement, int64_t *n)
{
	bool row;
	enum fault f = db_step(l->look, statement, &row);

	*n = row ? db_int(l->look, statement, 0) : 0;
	db_finish(l->look, statement);
	return f;
}

enum fault
ledger_oldest(struct ledger *l, int64_t *ms)
{
	return ledger_number(l, SQL_OLDEST, ms);
}

enum fault
ledger_last_before(struct ledger *l, int64_t before, int64_t *ms)
{
	db_bind_int(l->look, SQL_LAST_BEFORE, 1, before);
	return ledger_number(l, SQL_LAST_BEFORE, ms);
}

enum fault
ledger_knows_release(struct ledger *l, struct span issue, bool *known)
{
	int64_t n;
	enum fault f;

	db_bind_text(l->look, SQL_RELEASE, 1, issue);
	f = ledger_number(l, SQL_RELEASE, &n);
	*known = n > 0;
	return f;
}

static void
ledger_copy(char *out, size_t size, struct span s)
{
	snprintf(out, size, "%.*s", (int)s.len, s.len > 0 ? s.at : "");
}

static enum fault
ledger_read_hooks(struct ledger *l, struct span issue, size_t *count)
{
	enum fault f;
	bool row;

	*count = 0;
	db_bind_text(l->look, SQL_HOOKS, 1, issue);
	db_bind_text(l->look, SQL_HOOKS, 2,
	    span_filled(l->rules.installation));
	db_bind_int(l->look, SQL_HOOKS, 3, HOOKS_MAX);
	/* One that was found is the one of late: what an integration before it
	 * got has come, too. */
	db_bind_int(l->look, SQL_HOOKS, 4, l->uuid[0] != '\0');
	while ((f = db_step(l->look, SQL_HOOKS, &row)) == FAULT_NONE && row) {
		struct match_hook *h = &l->hooks[(*count)++];

		ledger_copy(h->action, sizeof(h->action),
		    db_text(l->look, SQL_HOOKS, 0));
		ledger_copy(h->assignee, sizeof(h->assignee),
		    db_text(l->look, SQL_HOOKS, 2));
		h->at = db_int(l->look, SQL_HOOKS, 1);
		if (h->at < 0)		/* somebody has written that */
			h->at = 0;
		h->used = false;
	}
	db_finish(l->look, SQL_HOOKS);
	return f;
}

enum fault
ledger_compare(struct ledger *l, const struct ledger_run *run,
    struct span issue, const struct change_list *list, bool missing[],
    unsigned *count)
{
	bool came[CHANGES_MAX + 1];
	size_t hooks;
	enum fault f = ledger_read_hooks(l, issue, &hooks);

	*count = 0;
	match_hooks(came, list, l->hooks, hooks);
	for (size_t i = 0; i < list->count; i++) {
		const struct change *c = &list->change[i];

		missing[i] = !came[i] && c->action != NULL &&
		    c->at >= run->since && c->at <= run->until &&
		    observe_list_has(span_of(l->rules.observe),
		    span_of("issue"), span_of(c->action));
		*count += missing[i];
	}
	return f;
}

/* ---- filing ---- */

/* An issue's changes on their way into the database. */
struct ledger_filing {
	struct json			 issue;
	const struct change_list	*list;
	const struct ledger_release	*release;
	size_t				 next;	/* of the list */
	bool				*filed;
	unsigned			 large;
};

/* Its time is the change's: by it the next run finds it. Its key is the one
 * that any hook of a creation has, and for other changes the number of their
 * activity. */
static enum fault
ledger_put(struct ledger *l, struct ledger_filing *p, size_t i, size_t *bytes)
{
	const struct change *c = &p->list->change[i];
	struct text body = { 0 }, id = { 0 };
	char seconds[24];
	struct hook h = { .received_at = clock_wall_ms(),
	    .resource = span_of("issue"), .redact = l->rules.redact,
	    .backfilled = true };
	struct received *r = NULL;
	struct stored stored = { 0 };
	enum fault f = FAULT_MEMORY;

	hook_body(&body, p->issue, c, l->rules.installation);
	if (body.len > LEDGER_BODY_MAX) {
		p->large++;
		text_release(&body);
		return FAULT_NONE;
	}
	*bytes += body.len;
	if (c->id.len > 0) {
		text_str(&id, "activity-");
		text_span(&id, c->id);
	}
	snprintf(seconds, sizeof(seconds), "%lld", (long long)c->at / 1000);
	h.timestamp = span_of(seconds);
	h.request_id = text_view(&id);
	h.body = text_view(&body);
	if (!body.broken && !id.broken)
		r = received_new(&h, body.at, span_of(l->rules.observe));
	else
		text_release(&body);
	if (r != NULL)
		f = store_put(l->put, &r->hook, &r->observation, FROM_REQUEST,
		    &stored);
	p->filed[i] = f == FAULT_NONE && r != NULL && !stored.duplicate;
	received_drop(r);
	text_release(&id);
	return f;
}

/* One transaction's share: until it is large, or all are filed. */
static enum fault
ledger_put_some(struct ledger *l, struct ledger_run *run,
    struct ledger_filing *p)
{
	struct span id = json_get_scalar(p->issue, "id");
	bool missing[CHANGES_MAX + 1];
	size_t bytes = 0;
	unsigned n;
	enum fault f = ledger_compare(l, run, id, p->list, missing, &n);

	l->blamed = f == FAULT_NONE ? l->put : l->look;
	if (f == FAULT_NONE && n > 0)
		f = store_put_issue_release(l->put, id, p->release->release,
		    p->release->environment, p->release->at);
	while (p->next < p->list->count && f == FAULT_NONE &&
	    bytes < TRANSACTION_BYTES) {
		size_t i = p->next++;

		if (missing[i])
			f = ledger_put(l, p, i, &bytes);
		run->rows += p->filed[i];
	}
	return f;
}

enum fault
ledger_file(struct ledger *l, struct ledger_run *run, struct json issue,
    const struct change_list *list, const struct ledger_release *release,
    bool filed[], unsigned *large)
{
	struct ledger_filing p = { .issue = issue, .list = list,
	    .release = release, .filed = filed };
	int64_t rows = run->rows;
	enum fault f = FAULT_NONE;

	for (size_t i = 0; i < list->count; i++)
		filed[i] = false;
	while (p.next < list->count && f == FAULT_NONE) {
		if ((f = ledger_begin(l, l->put)) == FAULT_NONE)
			f = db_end_and_checkpoint(l->put,
			    ledger_put_some(l, run, &p));
	}
	*large = p.large;
	return f != FAULT_NONE || run->rows == rows ? f :
	    ledger_save_run(l, run, false);
}

/* ---- runs ---- */

enum fault
ledger_find_run(struct ledger *l, const char *selection, int64_t at,
    struct ledger_run *run, bool *found)
{
	enum fault f;

	db_bind_text(l->look, SQL_RUN_FIND, 1, span_of(selection));
	db_bind_int(l->look, SQL_RUN_FIND, 2, at);
	f = db_step(l->look, SQL_RUN_FIND, found);
	if (*found) {
		run->id = db_int(l->look, SQL_RUN_FIND, 0);
		run->since = db_int(l->look, SQL_RUN_FIND, 1);
		run->until = db_int(l->look, SQL_RUN_FIND, 2);
		run->list = db_int(l->look, SQL_RUN_FIND, 3);
		ledger_copy(run->cursor, sizeof(run->cursor),
		    db_text(l->look, SQL_RUN_FIND, 4));
		run->rows = db_int(l->look, SQL_RUN_FIND, 5);
	}
	db_finish(l->look, SQL_RUN_FIND);
	return f;
}

enum fault
ledger_begin_run(struct ledger *l, const char *selection,
    struct ledger_run *run)
{
	enum fault f = ledger_begin(l, l->look);

	if (f != FAULT_NONE)
		return f;
	db_bind_int(l->look, SQL_RUN_BEGIN, 1, clock_wall_ms());
	db_bind_text(l->look, SQL_RUN_BEGIN, 2, span_of(selection));
	db_bind_int(l->look, SQL_RUN_BEGIN, 3, run->since);
	db_bind_int(l->look, SQL_RUN_BEGIN, 4, run->until);
	f = db_run(l->look, SQL_RUN_BEGIN);
	run->id = db_last_id(l->look);
	return db_end_and_checkpoint(l->look, f);
}

enum fault
ledger_save_run(struct ledger *l, const struct ledger_run *run, bool done)
{
	enum fault f = ledger_begin(l, l->look);

	if (f != FAULT_NONE)
		return f;
	db_bind_int(l->look, SQL_RUN_SAVE, 1, run->id);
	db_bind_int(l->look, SQL_RUN_SAVE, 2, run->list);
	db_bind_text(l->look, SQL_RUN_SAVE, 3, span_of(run->cursor));
	db_bind_int(l->look, SQL_RUN_SAVE, 4, run->rows);
	db_bind_int(l->look, SQL_RUN_SAVE, 5, done);
	db_bind_int(l->look, SQL_RUN_SAVE, 6, clock_wall_ms());
	return db_end_and_checkpoint(l->look, db_run(l->look, SQL_RUN_SAVE));
}

enum fault
ledger_covered(struct ledger *l, const char *selection, int64_t ms,
    bool *covered)
{
	int64_t n;
	enum fault f;

	db_bind_int(l->look, SQL_RUN_COVERED, 1, ms);
	db_bind_text(l->look, SQL_RUN_COVERED, 2, span_of(selection));
	f = ledger_number(l, SQL_RUN_COVERED, &n);
	*covered = n > 0;
	return f;
}
