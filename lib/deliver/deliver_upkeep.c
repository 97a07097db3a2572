#include "deliver/deliver_upkeep.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/sd_notify.h"
#include "deliver/deliver_rows.h"

#define CHECK_EVERY_MS	1000
#define WRONG_CLOCK_MS	60000	/* beyond settle_ms: see confirm_rows() */
#define PRUNE_IDS	250	/* looked at in a transaction */
#define PRUNE_NEXT_MS	20	/* between these: the worker's commits */
#define PRUNE_EVERY_MS	30000	/* between passes */
#define METRICS_EVERY_MS	5000
#define METRICS_SHARE	20	/* they take 1/20 of the time, at most */

/* Confirms what the sink has acknowledged. confirm_check() may find another
 * stream under the sink's name, and the sink has that name from then on: fates
 * from the stream before are written first. */
static void
confirm_rows(struct deliver *d)
{
	unsigned long before = d->metrics.count[COUNT_REQUEUED];
	struct confirm_time t = { clock_wall_ms(), deliver_state_due_now(d),
	    0 };
	unsigned left;

	deliver_rows_receive(d, 0);
	do {
		left = d->unwritten_count;
		deliver_rows_write(d, true);
	} while (d->unwritten_count < left);
	if (d->unwritten.first != NULL || d->db == NULL)
		return;
	/* After settle_ms no row from before the start can still be waiting for
	 * its time. One that is due much later was acknowledged while the clock
	 * was wrong. */
	if (clock_ms() - d->started_at > d->config->settle_ms)
		t.far = t.due + d->config->settle_ms + WRONG_CLOCK_MS;
	deliver_state_fault(d, confirm_check(&d->confirm, d->db, d->sink, &t,
	    &d->metrics));
	/* There are rows to send again. */
	if (d->metrics.count[COUNT_REQUEUED] != before)
		queue_reader_restart(&d->tried);
}

void
deliver_upkeep_check(struct deliver *d)
{
	if (clock_ms() < d->check_at)
		return;
	d->check_at = clock_ms() + CHECK_EVERY_MS;
	if (sd_notify_watchdog_ms() > 0)
		sd_notify_send("WATCHDOG=1");
	if (d->db == NULL)
		return;
	deliver_state_fault(d, queue_check_files(d->db));
	if (d->db != NULL && d->sink->ops->inspect != NULL)
		confirm_rows(d);
	if (d->db != NULL)
		deliver_state_fault(d, db_checkpoint(d->db, true));
}

bool
deliver_upkeep_prune(struct deliver *d)
{
	int64_t now = clock_wall_ms();
	unsigned n;
	bool end;
	enum fault f;

	if (d->db == NULL || d->config->keep_ms == 0 ||
	    clock_ms() < d->prune_at)
		return true;
	f = queue_prune(d->db, &d->prune, now - d->config->keep_ms, now,
	    PRUNE_IDS, &n, &end);
	d->metrics.count[COUNT_PRUNED] += n;
	d->prune_at = clock_ms() + (f == FAULT_NONE && end ? PRUNE_EVERY_MS :
	    PRUNE_NEXT_MS);
	deliver_state_fault(d, f);
	return f != FAULT_NONE || end;
}

void
deliver_upkeep_write_metrics(struct deliver *d)
{
	struct backlog c = { 0 };
	int64_t start = clock_ms();

	if (d->config->metrics == NULL || d->db == NULL)
		return;
	if (queue_count_backlog(d->db, &c) == FAULT_NONE &&
	    deliver_metrics_write(&d->metrics, d->config->metrics, &c,
	    d->in_flight.count, d->log.sink_error[0] == '\0',
	    clock_wall_ms()) != 0)
		log_say("warning", "metrics", "the metrics file cannot be "
		    "written");
	/* To count millions of rows takes its time. */
	d->metrics_at = clock_ms() + METRICS_EVERY_MS +
	    (clock_ms() - start) * METRICS_SHARE;
}
