/* The threads that take requests from connections and answer them. */
#ifndef THREADS_H
#define THREADS_H

#include "server/cgi.h"
#include "server/listen.h"

struct threads;

/* Serves the listener with `count` threads until threads_stop(). 0, or -1 with
 * errno when they cannot be made. */
int	threads_start(struct threads **, const struct listener *,
	    unsigned count, const struct handler *)
	    __attribute__((warn_unused_result));

/* Cuts off every peer whose request has taken too long. To be called every
 * second or so. */
void	threads_watch(struct threads *);

/* Whether a thread waits for work, or one has finished some since the last
 * call. If not, all of them hang (on a disk, say), or are busy with requests
 * that take longer than the time between two calls. For one caller. */
bool	threads_alive(struct threads *);

/* Answers every request on the connections that were accepted and, on a socket
 * of our own, on those in its backlog; then ends the threads. An inherited
 * socket keeps its backlog for the process that serves it next. */
void	threads_stop(struct threads *);

#endif
