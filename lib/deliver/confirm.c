#include "deliver/confirm.h"

#include <stdio.h>

#include "base/log.h"

#define CONFIRM_ROWS	1000	/* in a transaction */
#define CONFIRM_ROUNDS	20	/* transactions in one check */
#define CONFIRM_REQUESTS	500	/* to the sink, before a transaction */
#define SERVER_DOWN_MS	100	/* no server restarts faster than this */

void
confirm_acked(struct confirm *s, uint64_t seq)
{
	if (seq > s->highest)
		s->highest = seq;
}

static void
log_requeued(const struct sink *sink, unsigned rows)
{
	struct log l;

	log_begin(&l, "error", "redriven");
	log_str(&l, "sink", sink->name);
	log_int(&l, "rows", rows);
	log_str(&l, "msg", "the stream has lost what it had acknowledged; it "
	    "gets it again");
	log_end(&l);
}

/* Makes rows pending again, but not those that this creation of the stream has
 * acknowledged up to `last_seq`. */
static enum fault
requeue_lost(struct db *d, struct sink *sink, uint64_t last_seq, int64_t due,
    struct deliver_metrics *metrics)
{
	char stream[SINK_NAME];
	unsigned n = CONFIRM_ROWS, all = 0;
	enum fault f = FAULT_NONE;

	/* A sink's name is STREAM@CREATION. */
	snprintf(stream, sizeof(stream), "%s", sink->name);
	stream[strcspn(stream, "@")] = '\0';
	while (f == FAULT_NONE && n == CONFIRM_ROWS) {
		f = queue_requeue(d, stream, sink->name, last_seq, due,
		    CONFIRM_ROWS, &n);
		all += f == FAULT_NONE ? n : 0;
	}
	metrics->count[COUNT_REQUEUED] += all;
	if (all > 0)
		log_requeued(sink, all);
	return f;
}

/* Returns how many rows, from the first on, were acknowledged one soon after
 * the other: no server can have restarted between them. *last is the one of
 * them that stands last in the stream. */
static unsigned
burst_length(const struct queue_acked *a, unsigned n, unsigned *last)
{
	unsigned i;

	*last = 0;
	for (i = 1; i < n && a[i].due_at - a[i - 1].due_at < SERVER_DOWN_MS;
	    i++)
		if (a[i].seq > a[*last].seq)
			*last = i;
	return i;
}

/* Asks the sink for the rows, and sets `lost` in those that it does not hold. A
 * stream is a log: a server that crashes loses the end of it, and acknowledges
 * nothing for a while. So if the stream holds the last row of a burst, it holds
 * the whole burst, and one request is enough. If not, each row of the burst is
 * asked for. Returns how many rows, from the first on, are known by then. */
static unsigned
find_lost(struct sink *sink, struct queue_acked *a, unsigned n, unsigned *lost)
{
	unsigned from = 0, burst, last, requests = 0;
	int held;

	for (; from < n && requests < CONFIRM_REQUESTS; from += burst) {
		burst = burst_length(&a[from], n - from, &last);
		requests++;
		last += from;
		held = sink->ops->holds(sink, a[last].seq, a[last].event_id);
		if (held < 0)
			break;
		if (held > 0)
			continue;
		for (unsigned i = from; i < from + burst; i++) {
			held = requests++ < CONFIRM_REQUESTS ?
			    sink->ops->holds(sink, a[i].seq, a[i].event_id) :
			    -1;
			if (held < 0)
				return i;
			a[i].lost = held == 0;
			*lost += a[i].lost;
		}
	}
	return from;
}

/* Rows with a due_at between `from` and `until`. Ends at the first loss: the
 * stream has to be inspected again. */
static enum fault
confirm_due(struct db *d, struct sink *sink, int64_t from, int64_t until,
    const struct confirm_time *t, struct deliver_metrics *metrics)
{
	static struct queue_acked rows[CONFIRM_ROWS];
	unsigned n = CONFIRM_ROWS, lost = 0;
	enum fault f = FAULT_NONE;

	for (int i = 0; i < CONFIRM_ROUNDS && n == CONFIRM_ROWS && lost == 0;
	    i++) {
		f = queue_acked(d, from, until, sink->name, rows, CONFIRM_ROWS,
		    &n);
		if (f != FAULT_NONE ||
		    (n = find_lost(sink, rows, n, &lost)) == 0)
			return f;
		f = queue_confirm(d, rows, n, t->now, t->due);
		if (f != FAULT_NONE)
			return f;
		metrics->count[COUNT_REQUEUED] += lost;
		if (lost > 0)
			log_requeued(sink, lost);
	}
	return f;
}

enum fault
confirm_check(struct confirm *s, struct db *d, struct sink *sink,
    const struct confirm_time *t, struct deliver_metrics *metrics)
{
	bool same = true;
	enum fault f = FAULT_NONE;

	if (sink->ops->inspect(sink) != 0)
		return FAULT_NONE;
	if (strcmp(s->name, sink->name) != 0) {
		same = false;
		f = queue_highest(d, sink->name, &s->highest);
	}
	if (f == FAULT_NONE && sink->last_seq < s->highest) {
		/* The stream has lost its end. Where lost rows stood other ones
		 * may stand by now: all rows are sent again. */
		f = requeue_lost(d, sink, 0, t->due, metrics);
		if (f == FAULT_NONE)
			s->highest = 0;
	} else if (f == FAULT_NONE && !same) {
		f = requeue_lost(d, sink, sink->last_seq, t->due, metrics);
	}
	if (f != FAULT_NONE)
		return f;
	snprintf(s->name, sizeof(s->name), "%s", sink->name);
	f = confirm_due(d, sink, INT64_MIN, t->due, t, metrics);
	return f == FAULT_NONE && t->far != 0 ?
	    confirm_due(d, sink, t->far, INT64_MAX, t, metrics) : f;
}
