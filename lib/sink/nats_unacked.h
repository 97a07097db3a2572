/* Rows whose answers come on another thread. */
#ifndef WAITING_H
#define WAITING_H

#include <pthread.h>

#include "sink/sink.h"

#define WAITING_BUCKETS	1024

struct waiting {
	pthread_mutex_t	 lock;		/* guards what is below */
	pthread_cond_t	 some;
	struct row	*bucket[WAITING_BUCKETS];	/* by event id */
	struct row	*judged;
};

/* False without memory. */
bool		 waiting_start(struct waiting *);
void		 waiting_release(struct waiting *);	/* frees its rows */

void		 waiting_add(struct waiting *, struct row *);

/* Sets a row's verdict; for any thread. An answer for a row that is no longer
 * there has come too late: it has been judged. */
void		 waiting_judge(struct waiting *, const char *event_id,
		    enum fate, uint64_t seq, const char *why);
void		 waiting_judge_all(struct waiting *, enum fate,
		    const char *why);

/* The rows that have been judged, in any order; waits for some for up to
 * ms. */
struct row	*waiting_take(struct waiting *, int ms);

#endif
