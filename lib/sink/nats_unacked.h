/* Rows that were published and have no acknowledgement yet. It comes on a
 * thread of libnats; the deliverer's thread takes the row back. */
#ifndef NATS_UNACKED_H
#define NATS_UNACKED_H

#include <pthread.h>

#include "sink/row.h"

#define NATS_UNACKED_BUCKETS	1024

struct nats_unacked {
	pthread_mutex_t	 lock;		/* guards both lists, and their rows */
	pthread_cond_t	 some_done;	/* `done` is no longer empty */
	struct row	*bucket[NATS_UNACKED_BUCKETS];	/* by event id */
	struct row	*done;		/* rows with a fate */
};

/* False without memory. */
bool		 nats_unacked_start(struct nats_unacked *);
void		 nats_unacked_release(struct nats_unacked *);	/* and rows */

/* Becomes the owner of one row. */
void		 nats_unacked_add(struct nats_unacked *, struct row *);

/* Sets the fate of the row with this event id; from any thread. Does nothing if
 * there is none: an answer that comes too late, after another fate. */
void		 nats_unacked_set_fate(struct nats_unacked *,
		    const char *event_id, enum fate, uint64_t seq,
		    const char *why);
void		 nats_unacked_set_all_fates(struct nats_unacked *, enum fate,
		    const char *why);

/* Waits for up to `ms` until a row has its fate. Returns all that have, in any
 * order, or NULL. */
struct row	*nats_unacked_take(struct nats_unacked *, int ms);

#endif
