/* How fast to deliver: intake must not feel it. */
#ifndef THROTTLE_H
#define THROTTLE_H

#include "deliver/queue.h"

struct throttle {
	int64_t	looked_at;	/* ms, monotonic */
	int64_t	newest;		/* the outbox's id then */
	int64_t	backlog;	/* rows to be delivered then */
	int64_t	used;		/* ns of processor time so far */
	bool	busy;		/* hooks come in fast */
};

/* After each step of work. While hooks come in fast, sleeps so that what was
 * used since the last call is no more than throttle_share() of the time: both
 * the processors and the database's write lock belong to the worker then. A
 * signal ends the sleep. `old` is how many hooks are to be deleted. The
 * database may be NULL, while it is out of order. */
void	throttle_rest(struct throttle *, struct db *, int64_t old);

/* The share of a processor's time, in percent, with so many rows to go: 2, and
 * as much again at 10,000 and every ten times that. */
int	throttle_share(int64_t backlog);

#endif
