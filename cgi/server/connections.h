/* The connections that no thread is at work on: one epoll watches them all,
 * and the listener, until there is something to read. */
#ifndef CONNECTIONS_H
#define CONNECTIONS_H

#include <sys/queue.h>

#include "server/fcgi.h"
#include "server/listen.h"

/* One connection. Whoever has got it from here alone may use it, until it is
 * given back with connections_return(). */
struct connection {
	struct fcgi		*fcgi;
	bool			 watched;	/* epoll knows it */
	bool			 served;	/* it has had a request */
	bool			 last;		/* its last request: we stop */
	TAILQ_ENTRY(connection)	 entry;		/* in the list of those here */
};

struct connections;

/* Begins to accept on the listener, whose descriptor is made non-blocking. It
 * stops to accept for a while when fewer than `spare_fds` descriptors are left.
 * NULL with errno. */
struct connections *connections_open(const struct listener *,
    unsigned spare_fds) __attribute__((warn_unused_result));

/* Waits for events, takes out the connections that have something to read or
 * are new, and returns how many: none, sometimes, and always once
 * connections_stop() was called. Any number of threads may wait at once. */
unsigned	connections_wait(struct connections *,
		    struct connection *ready[REQUESTS_MOST]);

/* Whether a thread is waiting for events now. */
bool		connections_idle(const struct connections *);

/* Takes a connection back. Unless `keep`, it is closed. After
 * connections_stop() one that has had a request is kept for one more, which
 * the peer may have sent already, and no longer. */
void		connections_return(struct connections *, struct connection *,
		    bool keep);

/* Takes back one whose request is still coming in, for another thread. */
void		connections_put_back(struct connections *, struct connection *);

/* Ends every connections_wait(), now and later. */
void		connections_stop(struct connections *);
bool		connections_stopping(const struct connections *);

/* ---- after connections_stop(), for one thread ---- */

/* Takes out one of those that are still here; NULL when there is none. One
 * that has had no request yet gets until `until` (ms, monotonic) to send it. */
struct connection *connections_take(struct connections *, int64_t until);

/* Accepts one from the backlog, but only on a socket that nobody serves after
 * us; NULL when there is none. */
struct connection *connections_accept_last(struct connections *);

void		connections_close(struct connections *);

#endif
