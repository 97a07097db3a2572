/* A running worker inside the fuzz target, for those that send requests. */
#ifndef WORKER_H
#define WORKER_H

#include "worker/service.h"

#define WORKER_SECRET	"0123456789abcdef0123456789abcdef"
#define WORKER_MAX_BODY	32768	/* bytes; within an input's reach */

/* The worker: threads on a socket, a writer, a database and a spool, in $TMPDIR
 * or /tmp. The first call starts it; after some thousands of calls it is made
 * anew. Returns its handler. */
const struct handler *worker_handler(void);

/* Sends the bytes to its socket, then shuts that down for writing, and appends
 * what comes back until the worker closes the connection. */
void	worker_serve(struct text *replies, struct span bytes);

/* Takes one reply, that is FastCGI records up to END_REQUEST, off the front of
 * `replies`, and appends the contents of its STDOUT records. False: nothing is
 * left. Aborts on what is no such record. */
bool	worker_reply(struct span *replies, struct text *reply);

#endif
