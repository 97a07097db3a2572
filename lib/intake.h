/* Receipts that wait for a commit, and what to tell when it has come. */
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

/* ---- the callers' side, any thread ---- */

/* A receipt, and who waits for its commit. It belongs to its caller, who
 * keeps it until done() was called, or until it was withdrawn. */
struct waiting {
	struct receipt	*receipt;
	/* Called once, by the writer's thread, when all is known: a flag, a
	 * list and a wake-up is all that it should need. FAULT_NONE: it is on
	 * stable storage, `stored` says how. Anything else: it is not. */
	void		(*done)(struct waiting *);
	enum fault	 fault;
	struct stored	 stored;
	struct job	*job;		/* the intake's */
};

/* Hands in a receipt. FAULT_NONE: done() will be called, perhaps before this
 * returns. FAULT_STUCK: the writer is known to be stuck, or far behind;
 * FAULT_MEMORY: there is none. The caller takes care of it then. */
enum fault	 intake_put(struct intake *, struct waiting *)
		    __attribute__((warn_unused_result));

/* Of one who has waited in vain. True: done() will not be called any more,
 * and whoever comes next need not wait: FAULT_STUCK. If the receipt is kept
 * after all, the spool's copy of it is recognised. False: it is too late,
 * done() was called or is about to be. */
bool		 intake_withdraw(struct intake *, struct waiting *);

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
	enum { JOB_QUEUED, JOB_TAKEN, JOB_DONE } place;
	struct waiting	*waiting;	/* NULL: it has left */
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
