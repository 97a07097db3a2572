/* Confirms rows that a sink acknowledged before it had them on its disk. */
#ifndef CONFIRM_H
#define CONFIRM_H

#include "deliver/deliver_metrics.h"
#include "deliver/queue.h"

/* Start from { 0 }. */
struct confirm {
	char		name[SINK_NAME];	/* the sink's, when last seen */
	uint64_t	highest;	/* sequence that it has acknowledged */
};

/* The sink has acknowledged a row, which has this sequence in its stream. */
void		confirm_acked(struct confirm *, uint64_t seq);

/* In ms since 1970. */
struct confirm_time {
	int64_t		now;	/* by the wall clock: delivered_at */
	int64_t		due;	/* by the clock of due_at */
	int64_t		far;	/* a row that is due later than this was
				 * acknowledged while the clock was wrong, and
				 * is due now; 0: there may be no such row */
};

/* Does nothing if the sink does not answer. Otherwise:
 * 1. Inspects the stream. If it was created anew, or ends before a sequence
 *    that it has acknowledged, rows become pending again: they are sent again,
 *    with their event ids, by which the stream drops those that it still has.
 * 2. Of the acknowledged rows that are due, those that the stream holds become
 *    delivered, the others pending again. */
enum fault	confirm_check(struct confirm *, struct db *, struct sink *,
		    const struct confirm_time *, struct deliver_metrics *)
		    __attribute__((warn_unused_result));

#endif
