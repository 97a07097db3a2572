#include "settle.h"

#include <stdio.h>

#include "log.h"

#define SETTLE_ROWS	1000	/* in a transaction */
#define SETTLE_ROUNDS	20	/* transactions in one look */

void
settle_acked(struct settle *s, uint64_t seq)
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

static enum fault
redrive(struct db *d, struct sink *sink, int64_t now, struct tally *tally)
{
	char stream[SINK_NAME];
	unsigned n = SETTLE_ROWS;
	enum fault f = FAULT_NONE;

	/* The name without the creation behind `@'. */
	snprintf(stream, sizeof(stream), "%s", sink->name);
	stream[strcspn(stream, "@")] = '\0';
	while (f == FAULT_NONE && n == SETTLE_ROWS) {
		f = queue_redrive(d, stream, sink->name, sink->last_seq, now,
		    SETTLE_ROWS, &n);
		tally->count[COUNT_REDRIVEN] += n;
		if (n > 0)
			say_redriven(sink, n);
	}
	return f;
}

/* A stream is a log: where it still has the last of these, it has them all.
 * Where it has not, each is asked for. -1 while nobody knows. */
static int
examine(struct sink *sink, struct acked *a, unsigned n, struct tally *tally)
{
	unsigned last = 0, lost = 0;
	int has;

	for (unsigned i = 1; i < n; i++)
		if (a[i].seq > a[last].seq)
			last = i;
	has = sink->ops->holds(sink, a[last].seq, a[last].event_id);
	if (has != 0)
		return has < 0 ? -1 : 0;
	for (unsigned i = 0; i < n; i++) {
		has = sink->ops->holds(sink, a[i].seq, a[i].event_id);
		if (has < 0)
			return -1;
		a[i].lost = has == 0;
		lost += a[i].lost;
	}
	tally->count[COUNT_REDRIVEN] += lost;
	say_redriven(sink, lost);
	return 0;
}

static enum fault
settle(struct db *d, struct sink *sink, int64_t now, struct tally *tally)
{
	static struct acked ripe[SETTLE_ROWS];
	unsigned n = SETTLE_ROWS;
	enum fault f = FAULT_NONE;

	for (int i = 0; i < SETTLE_ROUNDS && n == SETTLE_ROWS; i++) {
		f = queue_acked(d, now, sink->name, ripe, SETTLE_ROWS, &n);
		if (f != FAULT_NONE || n == 0 ||
		    examine(sink, ripe, n, tally) < 0)
			return f;
		if ((f = queue_settle(d, ripe, n, now)) != FAULT_NONE)
			return f;
	}
	return f;
}

enum fault
settle_look(struct settle *s, struct db *d, struct sink *sink, int64_t now,
    struct tally *tally)
{
	enum fault f = FAULT_NONE;

	if (sink->ops->look(sink) != 0)
		return FAULT_NONE;
	if (strcmp(s->name, sink->name) != 0) {
		f = queue_highest(d, sink->name, &s->highest);
		if (f == FAULT_NONE)
			f = redrive(d, sink, now, tally);
		if (f == FAULT_NONE)
			snprintf(s->name, sizeof(s->name), "%s", sink->name);
	} else if (sink->last_seq < s->highest) {
		f = redrive(d, sink, now, tally);
		s->highest = sink->last_seq;
	}
	return f == FAULT_NONE ? settle(d, sink, now, tally) : f;
}
