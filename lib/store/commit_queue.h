/* Receipts on their way to a commit: who brings one waits for it here. */
#ifndef COMMIT_QUEUE_H
#define COMMIT_QUEUE_H

#include "store/received.h"
#include "store/store.h"

struct commit_queue;
struct commit_queue *commit_queue_open(void);   /* NULL without memory */
void commit_queue_close(struct commit_queue *); /* with nobody in it */

/* ---- the callers' side, any thread ---- */

/* A receipt, and what has become of it. FAULT_NONE: it is on stable storage,
 * `stored` says how. FAULT_BUSY: it has waited in vain, and whoever comes next
 * need not wait; a commit that still ends well is no harm, the spool's copy of
 * the receipt is recognised. FAULT_STUCK: the writer is known to be stuck, or
 * far behind: not tried. Any other: the commit failed. */
struct commit_request {
	struct received	*received;
	enum fault	 fault;
	struct stored	 stored;
	struct commit_job	*job;		/* the intake's */
};

/* Hands in `count` receipts and waits for their commit, up to `wait_ms`. */
void commit_queue_put(struct commit_queue *, struct commit_request *,
    unsigned count, unsigned wait_ms);

/* Receipts that wait now. */
unsigned	 commit_queue_queued(struct commit_queue *);

/* Nobody will come any more. */
void		 commit_queue_stop(struct commit_queue *);

/* ---- the writer's side, one thread ---- */

/* A receipt in the queue. It lives on the heap, since a caller that gives up
 * leaves while the writer may still be at work on it. */
struct commit_job {
	struct commit_job	*next;
	struct received	*received;
	struct stored	 stored;
	/* the rest is the intake's */
	enum { JOB_QUEUED, JOB_TAKEN, JOB_DONE, JOB_LEFT } place;
	enum fault	 fault;
	struct commit_caller	*party;		/* who waits for it */
};

/* Waits up to wait_ms for a receipt, not at all when there is one. False: it
 * was stopped and is empty. */
bool		 commit_queue_wait(struct commit_queue *, unsigned wait_ms);

/* Takes up to `limit` receipts off the queue, of bodies that come to `bytes`,
 * or a single one; NULL when there is none. */
struct commit_job *commit_queue_take(
    struct commit_queue *, unsigned limit, size_t bytes);

/* Tells the callers of all these jobs how it ended. They are no longer the
 * writer's then. */
void commit_queue_finish(
    struct commit_queue *, struct commit_job *, enum fault);

/* While the writer is known to be stuck nobody waits for it: it says so here.
 * A caller that has waited in vain says so too; the writer takes it back. */
void		 commit_queue_set_stuck(struct commit_queue *, bool);
bool		 commit_queue_is_stuck(struct commit_queue *);

#endif
