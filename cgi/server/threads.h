/* The threads that take connections and answer what comes on them. */
#ifndef THREADS_H
#define THREADS_H

#include "server/exchange.h"
#include "server/listen.h"

struct threads;

/* Serves the listener with `count` threads until threads_stop(). 0, or -1 when
 * they cannot be made. */
int	threads_start(struct threads **, const struct listener *,
	    unsigned count, const struct handler *)
	    __attribute__((warn_unused_result));

/* Whether one of them waits for work, or any has got on with its own since this
 * was last asked: else all hang, on a disk, say. For one caller. */
bool	threads_move(struct threads *);

/* Finishes every request that was accepted, and, on a socket of our own, what
 * waits in its backlog; an inherited socket keeps its backlog for whoever
 * serves it next. */
void	threads_stop(struct threads *);

/* Now and then: cuts off who takes too long over a request. */
void	threads_watch(struct threads *);

#endif
