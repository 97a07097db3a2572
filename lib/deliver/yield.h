/* Slows delivery down while hooks come in fast: the worker comes first. */
#ifndef YIELD_H
#define YIELD_H

#include "deliver/queue.h"

struct yield {
	int64_t	measured_at;	/* ms, monotonic */
	int64_t	newest;		/* id of the outbox then */
	int64_t	backlog;	/* rows that were never tried then */
	int64_t	used_ns;	/* processor time so far */
	bool	busy;		/* hooks come in fast */
};

/* Called after each step of work. While hooks come in fast, sleeps so long that
 * the processor time used since the last call is at most yield_share() of
 * the time that passed: the worker needs the processors, and the database's
 * write lock. A signal ends the sleep. `old` is how many hooks are to be
 * deleted. The database may be NULL, after a fault. */
void	yield_rest(struct yield *, struct db *, int64_t old);

/* The share of a processor's time, in percent, for a backlog of so many rows:
 * 2, and 2 more at 10,000, at 100,000, and so on. */
int	yield_share(int64_t backlog);

#endif
