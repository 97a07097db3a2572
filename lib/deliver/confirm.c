#include "deliver/confirm.h"

#include <stdio.h>

#include "base/log.h"

#define SETTLE_ROWS	1000	/* in a transaction */
#define SETTLE_ROUNDS	20	/* transactions in one look */
#define QUESTIONS	500	/* to the sink, in a transaction */
#define PAUSE_MS	100	/* no server comes back sooner */

void
confirm_acked(struct confirm *s, uint64_t seq)
{
	if (seq > s->highest)
		s->highest = seq;
}

static void
say_redriven(const struct sink *sink, unsigned rows)
{
	struct log l;

	log_begin(&l, "error", "redriven");
	log_str(&l, "sink", sink->name);
	log_int(&l, "rows", rows);
	log_str(&l, "msg", "the stream has lost what it had acknowledged; it "
	    "gets it again");
	log_end(&l);
}

/* What was acked up to `last_seq` by this creation of the stream stays. */
static enum fault
redrive(struct db *d, struct sink *sink, uint64_t last_seq, int64_t due,
    struct deliver_metrics *tally)
{
	char stream[SINK_NAME];
	unsigned n = SETTLE_ROWS, all = 0;
	enum fault f = FAULT_NONE;

	/* The name without the creation behind `@'. */
	snprintf(stream, sizeof(stream), "%s", sink->name);
	stream[strcspn(stream, "@")] = '\0';
	while (f == FAULT_NONE && n == SETTLE_ROWS) {
		f = queue_requeue(d, stream, sink->name, last_seq, due,
		    SETTLE_ROWS, &n);
		all += f == FAULT_NONE ? n : 0;
	}
	tally->count[COUNT_REQUEUED] += all;
	if (all > 0)
		say_redriven(sink, all);
	return f;
}

/* How many rows from `a` on were acked without a pause between them, and which
 * of these stands last in the stream. */
static unsigned
run_of(const struct queue_acked *a, unsigned n, unsigned *last)
{
	unsigned i;

	*last = 0;
	for (i = 1; i < n && a[i].due_at - a[i - 1].due_at < PAUSE_MS; i++)
		if (a[i].seq > a[*last].seq)
			*last = i;
	return i;
}

/* A stream is a log, which loses its end, and then is silent for a while: if
 * it still holds the last row before a pause, it holds those that came before
 * that. Where it does not, each is asked for. Returns how many rows have been
 * judged so, from the first on; the others have their turn. */
static unsigned
examine(struct sink *sink, struct queue_acked *a, unsigned n, unsigned *lost)
{
	unsigned from = 0, run, last, questions = 0;
	int has;

	for (; from < n && questions < QUESTIONS; from += run) {
		run = run_of(&a[from], n - from, &last);
		questions++;
		last += from;
		has = sink->ops->holds(sink, a[last].seq, a[last].event_id);
		if (has < 0)
			break;
		if (has > 0)
			continue;
		for (unsigned i = from; i < from + run; i++) {
			has = questions++ < QUESTIONS ? sink->ops->holds(sink,
			    a[i].seq, a[i].event_id) : -1;
			if (has < 0)
				return i;
			a[i].lost = has == 0;
			*lost += a[i].lost;
		}
	}
	return from;
}

static enum fault
settle(struct db *d, struct sink *sink, int64_t from, int64_t until,
    const struct confirm_time *t, struct deliver_metrics *tally)
{
	static struct queue_acked ripe[SETTLE_ROWS];
	unsigned n = SETTLE_ROWS, lost = 0;
	enum fault f = FAULT_NONE;

	for (int i = 0; i < SETTLE_ROUNDS && n == SETTLE_ROWS && lost == 0;
	    i++) {
		f = queue_acked(d, from, until, sink->name, ripe, SETTLE_ROWS,
		    &n);
		if (f != FAULT_NONE ||
		    (n = examine(sink, ripe, n, &lost)) == 0)
			return f;
		f = queue_confirm(d, ripe, n, t->now, t->due);
		if (f != FAULT_NONE)
			return f;
		tally->count[COUNT_REQUEUED] += lost;
		if (lost > 0)
			say_redriven(sink, lost);
	}
	return f;
}

enum fault
confirm_check(struct confirm *s, struct db *d, struct sink *sink,
    const struct confirm_time *t, struct deliver_metrics *tally)
{
	bool same = true;
	enum fault f = FAULT_NONE;

	if (sink->ops->look(sink) != 0)
		return FAULT_NONE;
	if (strcmp(s->name, sink->name) != 0) {
		same = false;
		f = queue_highest(d, sink->name, &s->highest);
	}
	if (f == FAULT_NONE && sink->last_seq < s->highest) {
		/* What came meanwhile may stand where a lost row stood. */
		if ((f = redrive(d, sink, 0, t->due, tally)) == FAULT_NONE)
			s->highest = 0;
	} else if (f == FAULT_NONE && !same) {
		f = redrive(d, sink, sink->last_seq, t->due, tally);
	}
	if (f != FAULT_NONE)
		return f;
	snprintf(s->name, sizeof(s->name), "%s", sink->name);
	f = settle(d, sink, INT64_MIN, t->due, t, tally);
	return f == FAULT_NONE && t->far != 0 ?
	    settle(d, sink, t->far, INT64_MAX, t, tally) : f;
}
