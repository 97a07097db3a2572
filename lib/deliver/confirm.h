/* Rows that a sink acknowledged before they were on its disk. */
#ifndef CONFIRM_H
#define CONFIRM_H

#include "deliver/queue.h"
#include "deliver/deliver_metrics.h"

/* Start from { 0 }. */
struct confirm {
	char		name[SINK_NAME];	/* the sink's, as last seen */
	uint64_t	highest;		/* sequence that was acked */
};

/* Another row was acked. */
void		confirm_acked(struct confirm *, uint64_t seq);

struct confirm_time {
	int64_t		now;	/* ms since 1970 */
	int64_t		due;	/* the same, as due_at has it */
	int64_t		far;	/* what is due later than that was put off by a
				 * clock that was wrong, and is due; 0: none */
};

/* Asks the sink how its stream is. One that was made anew, or has gone back,
 * makes all rows pending again that it had acknowledged: it knows again those
 * that it still has. Rows whose time has come (due_at) become delivered if the
 * stream still holds them. */
enum fault	confirm_check(struct confirm *, struct db *, struct sink *,
		    const struct confirm_time *, struct deliver_metrics *)
		    __attribute__((warn_unused_result));

#endif
