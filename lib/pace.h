/* How fast to deliver: intake must not feel it. */
#ifndef PACE_H
#define PACE_H

#include "queue.h"

struct pace {
	int64_t	looked_at;	/* ms, monotonic */
	int64_t	newest;		/* the outbox's id then */
	int64_t	used;		/* ns of processor time so far */
	bool	busy;		/* hooks come in fast */
};

/* After each step of work. While hooks come in fast, sleeps for PACE_REST
 * times the processor time that was used since the last call: both the
 * processors and the database's write lock belong to the worker then. A
 * signal ends the sleep. The database may be
 * NULL, while it is out of order. */
#define PACE_REST	19
void	pace_rest(struct pace *, struct db *);

#endif
