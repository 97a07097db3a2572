/* Rows whose answers come on another thread. */
#ifndef NATS_UNACKED_H
#define NATS_UNACKED_H

#include <pthread.h>

#include "sink/sink.h"

#define NATS_UNACKED_BUCKETS	1024

struct nats_unacked {
	pthread_mutex_t	 lock;		/* guards what is below */
	pthread_cond_t	 some;
	struct row	*bucket[NATS_UNACKED_BUCKETS];	/* by event id */
	struct row	*judged;
};

/* False without memory. */
bool		 nats_unacked_start(struct nats_unacked *);
void nats_unacked_release(struct nats_unacked *); /* frees its rows */

void		 nats_unacked_add(struct nats_unacked *, struct row *);

/* Sets a row's verdict; for any thread. An answer for a row that is no longer
 * there has come too late: it has been judged. */
void nats_unacked_set_fate(struct nats_unacked *, const char *event_id,
    enum fate, uint64_t seq, const char *why);
void		 nats_unacked_set_all_fates(struct nats_unacked *, enum fate,
		    const char *why);

/* The rows that have been judged, in any order; waits for some for up to
 * ms. */
struct row	*nats_unacked_take(struct nats_unacked *, int ms);

#endif
