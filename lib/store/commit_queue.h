/* Receipts on their way to a commit: who brings one waits for it here. */
#ifndef INTAKE_H
#define INTAKE_H

#include "store/received.h"
#include "store/store.h"

struct intake;
struct intake	*intake_open(void);		/* NULL without memory */
void		 intake_close(struct intake *);	/* with nobody in it */

/* ---- the callers' side, any thread ---- */

/* A receipt, and what has become of it. FAULT_NONE: it is on stable storage,
 * `stored` says how. FAULT_BUSY: it has waited in vain, and whoever comes next
 * need not wait; a commit that still ends well is no harm, the spool's copy of
 * the receipt is recognised. FAULT_STUCK: the writer is known to be stuck, or
 * far behind: not tried. Any other: the commit failed. */
struct deposit {
	struct receipt	*receipt;
	enum fault	 fault;
	struct stored	 stored;
	struct job	*job;		/* the intake's */
};

/* Hands in `count` receipts and waits for their commit, up to `wait_ms`. */
void		 intake_put(struct intake *, struct deposit *, unsigned count,
		    unsigned wait_ms);

/* Receipts that wait now. */
unsigned	 intake_queued(struct intake *);

/* Nobody will come any more. */
void		 intake_stop(struct intake *);

/* ---- the writer's side, one thread ---- */

/* A receipt in the queue. It lives on the heap, since a caller that gives up
 * leaves while the writer may still be at work on it. */
struct job {
	struct job	*next;
	struct receipt	*receipt;
	struct stored	 stored;
	/* the rest is the intake's */
	enum { JOB_QUEUED, JOB_TAKEN, JOB_DONE, JOB_LEFT } place;
	enum fault	 fault;
	struct party	*party;		/* who waits for it */
};

/* Waits up to wait_ms for a receipt, not at all when there is one. False: it
 * was stopped and is empty. */
bool		 intake_wait(struct intake *, unsigned wait_ms);

/* Takes up to `limit` receipts off the queue, of bodies that come to `bytes`,
 * or a single one; NULL when there is none. */
struct job	*intake_take(struct intake *, unsigned limit, size_t bytes);

/* Tells the callers of all these jobs how it ended. They are no longer the
 * writer's then. */
void		 intake_settle(struct intake *, struct job *, enum fault);

/* While the writer is known to be stuck nobody waits for it: it says so here.
 * A caller that has waited in vain says so too; the writer takes it back. */
void		 intake_set_stuck(struct intake *, bool);
bool		 intake_is_stuck(struct intake *);

#endif
