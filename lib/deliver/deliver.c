/* The run of delivery. The life of a row:
 *  1. A worker has put it into the outbox: pending, with no attempt.
 *  2. Read: deliver_rows_send() reads rows that are due (queue_reader_take()).
 *     In each step it reads rows that were tried before, and then rows that
 *     were never tried.
 *  3. In flight: in_flight_add() remembers the row until its fate is written.
 *     In the outbox the row is still pending, so the next reading finds it
 *     again: in_flight_pick() passes over it.
 *  4. Sink: give() hands the row to the sink, wait() returns it.
 *  5. Fate: before wait() returns the row, the sink sets its fate
 *     (row_set_fate()). deliver_rows_receive() then sets due_at: when to try
 *     the row again (retry_wait()), or when to confirm it. But it drops rows
 *     that are misconfigured, and all but one of those that are unreachable:
 *     nothing is written for them, and delivery pauses for 1 to 30 seconds.
 *  6. Written: deliver_rows_write() writes the fates of many rows in one
 *     transaction (queue_write_fates()). The row is no longer in flight. In the
 *     outbox it is now `delivered`, `acked`, `dead`, or `pending` again, to be
 *     read when it is due: back to 2.
 *  7. Confirmed: a row that is `acked` becomes `delivered` when, settle_ms
 *     later, the stream still holds it (confirm_check()); if the stream has
 *     lost it, it is `pending` again: back to 2.
 *  8. Pruned: a delivered row that is older than keep_ms is deleted, and then
 *     its hook (queue_prune()).
 * If the process dies, rows from 3 to 5 are still pending, and are sent again,
 * with the same event id.
 *
 * If a row stays pending:
 *  - it was not read: queue_reader.c, and the statements in queue.c;
 *  - it was read and held back: in_flight.c, the share of each workspace;
 *  - it was not sent, or came back with no fate to write: deliver_rows.c, the
 *    pause while the sink is unreachable or misconfigured;
 *  - it was sent, and its fate was not written: queue.c (AS_SENT). */
#include "deliver/deliver.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/sd_notify.h"
#include "deliver/deliver_rows.h"
#include "deliver/deliver_upkeep.h"

#define IDLE_WAIT_MS	250	/* the longest wait for the sink */
#define BUSY_WAIT_MS	20	/* likewise, while rows are in flight */
#define DRAIN_MS	5000	/* at the end: for rows in flight, and again to
				 * write their fates */

static bool
is_idle(const struct deliver *d)
{
	return d->fresh.idle && d->tried.idle;
}

/* How long to wait for the sink (ms): until the next thing that has its time.
 * wait() returns earlier if rows come back. */
static int
wait_for_sink_ms(const struct deliver *d)
{
	int64_t now = clock_ms(), until = now + IDLE_WAIT_MS;
	int64_t poll_at = d->fresh.poll_at < d->tried.poll_at ?
	    d->fresh.poll_at : d->tried.poll_at;
	int64_t write_at = d->unwritten_since + DELIVER_ROWS_WRITE_MS;

	if (d->db == NULL)
		return IDLE_WAIT_MS;
	if (now >= d->pause_until) {
		if (d->in_flight.count > 0 ||
		    d->sink->ops->room(d->sink) == 0)
			until = now + BUSY_WAIT_MS;
		else if (!is_idle(d) || d->config->once)
			until = now;
		if (is_idle(d) && !d->config->once && poll_at > until)
			until = poll_at;
	}
	if (d->unwritten.first != NULL && write_at < until)
		until = write_at;
	if (d->config->keep_ms > 0 && d->prune_at < until)
		until = d->prune_at;
	return until > now ? (int)(until - now) : 0;
}

static void
run_step(struct deliver *d)
{
	if (d->db == NULL)
		(void)deliver_state_open(d);
	/* Rows that were tried before may have only a small share of what is in
	 * flight: if they come first, there is still room for the others. */
	deliver_rows_send(d, &d->tried);
	deliver_rows_send(d, &d->fresh);
	deliver_rows_receive(d, wait_for_sink_ms(d));
	/* Also that it is over, where no row comes meanwhile. */
	if (d->sink->error[0] != '\0' || d->had_error)
		deliver_log_sink(&d->log, d->sink->name, d->sink->error);
	d->had_error = d->sink->error[0] != '\0';
	d->failed |= d->had_error && (d->config->once || d->sink->failed);
	deliver_rows_write(d, is_idle(d) &&
	    d->in_flight.count == d->unwritten_count);
	deliver_upkeep_check(d);
	(void)deliver_upkeep_prune(d);
	if (clock_ms() >= d->metrics_at)
		deliver_upkeep_write_metrics(d);
	yield_rest(&d->yield, d->db, d->prune.left);
}

/* Waits for the rows that are in flight, then writes the last fates. Each of
 * the two has its own time: a sink that hangs does not use up the time of the
 * database. */
static void
drain_rows(struct deliver *d)
{
	int64_t until = clock_ms() + DRAIN_MS;

	while (d->in_flight.count > d->unwritten_count &&
	    clock_ms() < until) {
		deliver_rows_receive(d, BUSY_WAIT_MS);
		deliver_rows_write(d, false);
	}
	until = clock_ms() + DRAIN_MS;
	while (d->unwritten.first != NULL && d->db != NULL &&
	    clock_ms() < until)
		deliver_rows_write(d, true);
}

static bool
is_done(struct deliver *d)
{
	return d->config->once && d->db != NULL && d->fresh.empty &&
	    d->tried.empty && d->in_flight.count == 0;
}

/* With `once` there is no next step: all of the upkeep is done now. */
static void
finish_upkeep(struct deliver *d)
{
	d->check_at = d->prune_at = 0;
	deliver_upkeep_check(d);
	while (!deliver_upkeep_prune(d))
		d->prune_at = 0;
}

static int
exit_status(struct deliver *d)
{
	struct backlog c;

	if (!d->config->once)
		return d->failed;
	if (d->failed || d->db == NULL ||
	    queue_count_backlog(d->db, &c) != FAULT_NONE)
		return 1;
	return c.pending > 0 || c.unmapped > 0 || c.dead > 0;
}

static int
run_to_end(struct deliver *d)
{
	int status;

	sd_notify_send("READY=1");
	while (!*d->config->stop && !d->failed && !is_done(d))
		run_step(d);
	sd_notify_send("STOPPING=1");
	drain_rows(d);
	if (d->config->once && !d->failed)
		finish_upkeep(d);
	status = exit_status(d);
	deliver_upkeep_write_metrics(d);
	return status;
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
	row_list_start(&d->unwritten);
	d->tried.tried = true;
	d->accepted_at = d->started_at = clock_ms();
	d->metrics.started = clock_wall_ms();
	d->wall_offset = d->metrics.started - d->started_at;
	f = deliver_state_open(d);
	/* Most faults may pass while we run; but a wrong file stays wrong. */
	if (d->db != NULL || (!config->once && f != FAULT_FOREIGN &&
	    f != FAULT_NEWER && f != FAULT_CORRUPT))
		status = run_to_end(d);
	d->sink->ops->close(d->sink);
	row_free_all(d->unwritten.first);
	db_abandon(d->moved_db);
	db_close(d->db);
	free(d);
	return status;
}
