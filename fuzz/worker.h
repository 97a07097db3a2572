/* The worker's inside, for the targets that have requests answered. */
#ifndef WORKER_H
#define WORKER_H

#include "worker/service.h"

#define WORKER_SECRET	"0123456789abcdef0123456789abcdef"
#define WORKER_MAX_BODY	32768	/* bytes; within an input's reach */

/* A running service: threads on a socket, a writer, a database and a spool, in
 * $TMPDIR or /tmp. It is the same one for thousands of calls, and then a fresh
 * one. */
const struct handler *worker(void);

/* Sends the bytes to that socket, hangs up, and appends whatever comes back
 * until the other side hangs up as well. */
void	worker_serve(struct text *replies, struct span bytes);

/* Takes a reply, records up to END, off the front and appends what was in
 * them. False when nothing is left; what is no record aborts. */
bool	worker_reply(struct span *replies, struct text *reply);

#endif
