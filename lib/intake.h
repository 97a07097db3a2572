/* Receipts that wait for a commit, and the callers that wait with them. */
#ifndef INTAKE_H
#define INTAKE_H

#include <pthread.h>

#include "receipt.h"
#include "store.h"

/* Milliseconds of the clock that all waiting is measured by. */
int64_t		intake_now(void);

struct intake;
struct intake	*intake_open(void);		/* NULL without memory */
void		 intake_close(struct intake *);	/* with nobody in it */

/* ---- the callers' side ---- */

/* Hands in a receipt and waits up to wait_ms for the commit. FAULT_NONE: it
 * is on stable storage, *stored says how. Anything else: it is not, or nobody
 * knows yet, and the caller takes care of it; if it is kept after all, the
 * spool's copy of it is recognised. FAULT_STUCK comes at once. */
enum fault	 intake_put(struct intake *, struct receipt *,
		    unsigned wait_ms, struct stored *)
		    __attribute__((warn_unused_result));

/* Receipts that wait now. */
unsigned	 intake_queued(struct intake *);

/* Nobody will come any more. */
void		 intake_stop(struct intake *);

/* ---- the writer's side, one thread ---- */

/* A receipt on its way. It lives on the heap, since a caller that gives up
 * leaves while the writer may still be at work on it. */
struct job {
	struct job	*next;
	struct receipt	*receipt;
	struct stored	 stored;
	/* the rest is the intake's */
	enum fault	 fault;
	enum { JOB_QUEUED, JOB_TAKEN, JOB_DONE } place;
	bool		 left;		/* by its caller: the writer frees */
	pthread_cond_t	 done;
};

/* Waits up to wait_ms for a receipt, not at all when there is one. False: it
 * was stopped and is empty. */
bool		 intake_wait(struct intake *, unsigned wait_ms);

/* Takes up to `limit` receipts off the queue; NULL when there is none. */
struct job	*intake_take(struct intake *, unsigned limit);

/* Tells the callers of all these jobs how it ended, and returns how many jobs
 * there were. They are no longer the writer's then. */
unsigned	 intake_settle(struct intake *, struct job *, enum fault);

/* While the writer is known to be stuck nobody waits for it: it says so here.
 * A caller that has waited in vain says so too; the writer takes it back. */
void		 intake_set_stuck(struct intake *, bool);
bool		 intake_is_stuck(struct intake *);

#endif
