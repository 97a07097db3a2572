#include "deliver/deliver.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/sd_notify.h"
#include "deliver/throttle.h"
#include "deliver/queue_reader.h"
#include "deliver/confirm.h"
#include "deliver/deliver_metrics.h"
#include "deliver/deliver_log.h"

#define PAGE_ROWS	5000		/* read at once */
#define JUDGE_ROWS	1000		/* verdicts in a transaction */
#define JUDGE_MS	50		/* it waits for others */
#define IDLE_MS		250		/* the longest wait */
#define WAIT_MS		20		/* for the sink, while rows are there */
#define LOOK_MS		1000		/* between looks at the stream */
#define FAR_MS		60000		/* no row is settled so late */
#define PRUNE_SPAN	250		/* ids looked at in a transaction */
#define PRUNE_GAP_MS	20		/* between these: intake's turn */
#define PRUNE_MS	30000		/* between passes */
#define PAUSE_LEAST_MS	1000		/* while nobody can take a row */
#define PAUSE_MOST_MS	30000
#define QUIET_MS	10000		/* nothing taken: worth a word */
#define REOPEN_MS	1000
#define METRICS_MS	5000
#define METRICS_SHARE	20		/* and 1/20 of the time at most */
#define GOODBYE_MS	5000		/* for what is on its way at the end */

struct deliver {
	const struct deliver_config *config;
	struct sink		*sink;
	struct db		*db;		/* NULL: out of order */
	struct db		*old;		/* moved, its log not yet */
	struct in_flight		 flight;
	struct row		*judged, **judged_tail;
	unsigned		 judged_count;
	int64_t			 judged_at;	/* the first of these */
	struct queue_reader		 fresh, tried;
	int64_t			 started_at;	/* clock_ms(), as all here */
	int64_t			 calendar;	/* less clock_ms() */
	int64_t			 reopen_at, look_at, metrics_at;
	int64_t			 pause, pause_until;
	int64_t			 taken_at;	/* a row, by the sink */
	bool			 failed;	/* no use in going on */
	struct deliver_log		 trouble;
	struct confirm		 settle;
	struct queue_prune_place	 prune;
	int64_t			 prune_at;
	struct deliver_metrics		 tally;
	struct throttle		 pace;
};

/* ---- the database ---- */

/* FAULT_BUSY passes; after any other the file is opened anew, in a while. */
static void
note_fault(struct deliver *d, enum fault f)
{
	if (f == FAULT_NONE || f == FAULT_BUSY)
		return;
	deliver_log_database(&d->trouble, f, f == FAULT_GONE ?
	    "the database was moved or replaced" : db_why(d->db));
	if (f == FAULT_GONE && db_retire(d->db) == FAULT_BUSY)
		d->old = d->db;
	else
		db_abandon(d->db);
	d->db = NULL;
	d->failed |= d->config->once;
}

static enum fault
reopen(struct deliver *d)
{
	char why[DB_WHY];
	enum fault f;

	if (clock_ms() < d->reopen_at)
		return FAULT_NONE;
	d->reopen_at = clock_ms() + REOPEN_MS;
	/* While its log stands beside the file that came in its place it would
	 * be taken for that one's; and there may be no worker to see to it. */
	if (d->old != NULL && (f = db_retire(d->old)) == FAULT_BUSY)
		return f;
	db_abandon(d->old);
	d->old = NULL;
	if ((f = queue_open(&d->db, d->config->db, why)) != FAULT_NONE)
		deliver_log_database(&d->trouble, f, why);
	queue_reader_restart(&d->fresh);
	queue_reader_restart(&d->tried);
	return f;
}

/* ---- rows out ---- */

static void
pause_sink(struct deliver *d)
{
	d->pause = d->pause == 0 ? PAUSE_LEAST_MS : d->pause * 2;
	if (d->pause > PAUSE_MOST_MS)
		d->pause = PAUSE_MOST_MS;
	d->pause_until = clock_ms() + d->pause;
	d->failed |= d->config->once;
}

/* How many rows to take now. After a pause a single one has to show that the
 * sink is there again. */
static unsigned
appetite(struct deliver *d)
{
	unsigned room = d->sink->ops->room(d->sink);

	if (clock_ms() < d->pause_until)
		return 0;
	if (d->pause > 0)
		return d->flight.count == 0 && room > 0;
	return room > PAGE_ROWS ? PAGE_ROWS : room;
}

/* due_at is read and written by the calendar as it was at the start, and went
 * on from there: who sets the clock meanwhile delays nothing. */
static int64_t
calendar_ms(const struct deliver *d)
{
	return clock_ms() + d->calendar;
}

static void
take(struct deliver *d, struct queue_reader *from)
{
	int64_t now = clock_ms();
	struct row *rows;
	enum fault f;

	if (d->db == NULL || (from->idle && now < from->poll_at &&
	    !(d->config->once && d->flight.count == 0)))
		return;
	f = queue_reader_take(
	    from, d->db, &d->flight, appetite(d), calendar_ms(d), now, &rows);
	if (rows != NULL)
		d->sink->ops->give(d->sink, rows);
	note_fault(d, f);
}

static bool
is_idle(const struct deliver *d)
{
	return d->fresh.idle && d->tried.idle;
}

/* ---- verdicts in ---- */

static void
let_go(struct deliver *d, struct row *r)
{
	in_flight_drop(&d->flight, r);
	row_free(r);
}

/* Without any, all rows wait as long as they may. */
static uint32_t
dice(void)
{
	uint32_t n;

	return getentropy(&n, sizeof(n)) == 0 ? n : UINT32_MAX;
}

/* What the verdict means for this row, with its attempts counted. */
static void
weigh(struct deliver *d, struct row *r)
{
	if (r->fate == FATE_ACKED) {
		r->due_at = calendar_ms(d) + d->config->settle_ms;
		confirm_acked(&d->settle, r->seq);
	}
	if (r->fate != FATE_LATER && r->fate != FATE_UNREACHABLE)
		return;
	if (r->attempts + 1 >= d->config->max_attempts)
		r->fate = FATE_REFUSED;
	else
		r->due_at = calendar_ms(d) + retry_wait(r->attempts + 1,
		    dice(), r->after_ms);
}

static void
collect(struct deliver *d, struct row *rows)
{
	bool away = false, there = false, taken = false;
	bool paid = clock_ms() < d->pause_until;
	char why[SINK_WHY] = "";
	struct row *r;

	while ((r = rows) != NULL) {
		rows = r->next;
		if (r->fate == FATE_MISCONFIGURED ||
		    r->fate == FATE_UNREACHABLE) {
			away = true;
			snprintf(why, sizeof(why), "%s", r->why);
		} else {
			there = true;
		}
		if (r->fate == FATE_LATER) {
			snprintf(why, sizeof(why), "%s", r->why);
		} else if (r->fate != FATE_UNREACHABLE &&
		    r->fate != FATE_MISCONFIGURED) {
			taken = true;
			in_flight_moved(&d->flight, r, clock_ms());
		}
		/* While nobody answers one row pays for all. */
		if (r->fate == FATE_MISCONFIGURED ||
		    (r->fate == FATE_UNREACHABLE && paid)) {
			let_go(d, r);
			continue;
		}
		paid |= r->fate == FATE_UNREACHABLE;
		weigh(d, r);
		r->next = NULL;
		*d->judged_tail = r;
		d->judged_tail = &r->next;
		if (d->judged_count++ == 0)
			d->judged_at = clock_ms();
	}
	if (taken) {
		d->taken_at = clock_ms();
		deliver_log_sink(&d->trouble, d->sink->name, d->sink->trouble);
	} else if (away || (there && clock_ms() - d->taken_at > QUIET_MS)) {
		deliver_log_sink(&d->trouble, d->sink->name, why);
	}
	if (there)
		d->pause = d->pause_until = 0;
	else if (away && clock_ms() >= d->pause_until)
		pause_sink(d);
}

static void
count(struct deliver *d, const struct row *r)
{
	static const enum deliver_metric table[] = {
		[FATE_DELIVERED] = COUNT_DELIVERED,
		[FATE_ACKED] = COUNT_ACKED,
		[FATE_LATER] = COUNT_RETRIED,
		[FATE_UNREACHABLE] = COUNT_RETRIED,
		[FATE_REFUSED] = COUNT_DEAD,
	};

	d->tally.count[table[r->fate]]++;
	if (r->fate == FATE_REFUSED)
		deliver_log_dead(r);
}

/* Writes down the verdicts when there are enough of them, or for long enough,
 * or when `now`. Only then rows are no longer on their way. */
static void
judge(struct deliver *d, bool now)
{
	struct row *r, **cut = &d->judged;
	unsigned n;
	enum fault f;

	if (d->judged == NULL || d->db == NULL || (!now &&
	    d->judged_count < JUDGE_ROWS &&
	    clock_ms() - d->judged_at < JUDGE_MS))
		return;
	for (n = 0; *cut != NULL && n < JUDGE_ROWS; n++)
		cut = &(*cut)->next;
	r = *cut;
	*cut = NULL;
	f = queue_write_fates(d->db, d->judged, clock_wall_ms(), d->sink->name);
	*cut = r;
	note_fault(d, f);
	if (f != FAULT_NONE) {
		d->judged_at = clock_ms();
		return;
	}
	deliver_log_database(&d->trouble, FAULT_NONE, "");
	/* A row that was replayed is still due. */
	d->fresh.empty = d->tried.empty = false;
	for (; n > 0; n--) {
		r = d->judged;
		d->judged = r->next;
		d->judged_count--;
		count(d, r);
		let_go(d, r);
	}
	if (d->judged == NULL)
		d->judged_tail = &d->judged;
}

/* ---- housekeeping ---- */

/* What the sink had only acknowledged. The look may find another stream under
 * its name: verdicts of the one before are written down first. */
static void
settle(struct deliver *d)
{
	unsigned long before = d->tally.count[COUNT_REQUEUED];
	struct confirm_time t = { clock_wall_ms(), calendar_ms(d), 0 };
	unsigned left;

	collect(d, d->sink->ops->wait(d->sink, 0));
	do {
		left = d->judged_count;
		judge(d, true);
	} while (d->judged_count < left);
	if (d->judged != NULL || d->db == NULL)
		return;
	/* What was acked before we began has had its time by now. */
	if (clock_ms() - d->started_at > d->config->settle_ms)
		t.far = t.due + d->config->settle_ms + FAR_MS;
	note_fault(d, confirm_check(&d->settle, d->db, d->sink, &t, &d->tally));
	/* There are rows to send again. */
	if (d->tally.count[COUNT_REQUEUED] != before)
		queue_reader_restart(&d->tried);
}

static void
look_after(struct deliver *d)
{
	if (clock_ms() < d->look_at)
		return;
	d->look_at = clock_ms() + LOOK_MS;
	if (sd_notify_watchdog_ms() > 0)
		sd_notify_send("WATCHDOG=1");
	if (d->db == NULL)
		return;
	note_fault(d, queue_check_files(d->db));
	if (d->db != NULL && d->sink->ops->look != NULL)
		settle(d);
	if (d->db != NULL)
		note_fault(d, db_checkpoint(d->db, true));
}

static bool
prune(struct deliver *d)
{
	int64_t now = clock_wall_ms();
	unsigned n;
	bool end;
	enum fault f;

	if (d->db == NULL || d->config->keep_ms == 0 ||
	    clock_ms() < d->prune_at)
		return true;
	f = queue_prune(d->db, &d->prune, now - d->config->keep_ms, now,
	    PRUNE_SPAN, &n, &end);
	d->tally.count[COUNT_PRUNED] += n;
	d->prune_at = clock_ms() + (f == FAULT_NONE && end ? PRUNE_MS :
	    PRUNE_GAP_MS);
	note_fault(d, f);
	return f != FAULT_NONE || end;
}

static void
write_metrics(struct deliver *d)
{
	struct backlog c = { 0 };
	int64_t start = clock_ms();

	if (d->config->metrics == NULL || d->db == NULL)
		return;
	if (queue_count_backlog(d->db, &c) == FAULT_NONE &&
	    deliver_metrics_write(&d->tally, d->config->metrics, &c,
		d->flight.count, d->trouble.said[0] == '\0',
		clock_wall_ms()) != 0)
		log_say("warning", "metrics", "the metrics file cannot be "
		    "written");
	/* To count millions of rows takes its time. */
	d->metrics_at = clock_ms() + METRICS_MS +
	    (clock_ms() - start) * METRICS_SHARE;
}

/* ---- the run ---- */

/* Until the next thing that is to be done at its time, unless the sink has
 * something to say before (ms). */
static int
patience(const struct deliver *d)
{
	int64_t now = clock_ms(), until = now + IDLE_MS;
	int64_t poll_at = d->fresh.poll_at < d->tried.poll_at ?
	    d->fresh.poll_at : d->tried.poll_at;

	if (d->db != NULL && now >= d->pause_until) {
		if (d->flight.count > 0 || d->sink->ops->room(d->sink) == 0)
			until = now + WAIT_MS;
		else if (!is_idle(d) || d->config->once)
			until = now;
		if (is_idle(d) && !d->config->once && poll_at > until)
			until = poll_at;
	}
	if (d->judged != NULL && d->judged_at + JUDGE_MS < until)
		until = d->judged_at + JUDGE_MS;
	if (d->config->keep_ms > 0 && d->prune_at < until)
		until = d->prune_at;
	return until > now ? (int)(until - now) : 0;
}

static void
step(struct deliver *d)
{
	if (d->db == NULL)
		(void)reopen(d);
	/* These have a small share, and so leave some room. */
	take(d, &d->tried);
	take(d, &d->fresh);
	collect(d, d->sink->ops->wait(d->sink, patience(d)));
	if (d->sink->trouble[0] != '\0') {
		deliver_log_sink(&d->trouble, d->sink->name, d->sink->trouble);
		d->failed |= d->config->once || d->sink->over;
	}
	judge(d, is_idle(d) && d->flight.count == d->judged_count);
	look_after(d);
	(void)prune(d);
	if (clock_ms() >= d->metrics_at)
		write_metrics(d);
	throttle_rest(&d->pace, d->db, d->prune.left);
}

/* What is on its way may still arrive; then the last verdicts, which have time
 * of their own. */
static void
say_goodbye(struct deliver *d)
{
	int64_t until = clock_ms() + GOODBYE_MS;

	sd_notify_send("STOPPING=1");
	while (d->flight.count > d->judged_count && clock_ms() < until) {
		collect(d, d->sink->ops->wait(d->sink, WAIT_MS));
		judge(d, false);
	}
	until = clock_ms() + GOODBYE_MS;
	while (d->judged != NULL && d->db != NULL && clock_ms() < until)
		judge(d, true);
}

static bool
is_done(struct deliver *d)
{
	return d->config->once && d->db != NULL && d->fresh.empty &&
	    d->tried.empty && d->flight.count == 0;
}

static int
status_of(struct deliver *d)
{
	struct backlog c;

	if (!d->config->once)
		return d->failed;
	if (d->failed || d->db == NULL ||
	    queue_count_backlog(d->db, &c) != FAULT_NONE)
		return 1;
	return c.pending > 0 || c.unmapped > 0 || c.dead > 0;
}

int
deliver_run(const struct deliver_config *config)
{
	struct deliver *d = calloc(1, sizeof(*d));
	enum fault f;
	int status = 1;

	if (d == NULL)
		return 1;
	d->config = config;
	d->sink = config->sink;
	d->judged_tail = &d->judged;
	d->tried.tried = true;
	d->taken_at = d->started_at = clock_ms();
	d->tally.started = clock_wall_ms();
	d->calendar = d->tally.started - d->started_at;
	f = reopen(d);
	/* Some faults pass by themselves; not that it is the wrong file. */
	if (d->db != NULL || (!config->once && f != FAULT_FOREIGN &&
	    f != FAULT_NEWER && f != FAULT_CORRUPT)) {
		sd_notify_send("READY=1");
		while (!*config->stop && !d->failed && !is_done(d))
			step(d);
		say_goodbye(d);
		if (config->once && !d->failed) {
			d->look_at = d->prune_at = 0;
			look_after(d);
			while (!prune(d))
				d->prune_at = 0;
		}
		status = status_of(d);
		write_metrics(d);
	}
	d->sink->ops->close(d->sink);
	row_free_all(d->judged);
	db_abandon(d->old);
	db_close(d->db);
	free(d);
	return status;
}
