/* The queue of hooks that wait for their commit. A caller puts its requests in
 * and waits; the writer takes them out, commits, and wakes the callers.
 *
 * The queue is *stuck* when waiting in it is known to be useless: the writer
 * has a fault, or a caller has just waited in vain. Then requests are refused
 * at once, so that their hooks go to the spool without delay. The writer tries
 * again and again, and takes the mark away when it can write. */
#ifndef COMMIT_QUEUE_H
#define COMMIT_QUEUE_H

#include "store/received.h"
#include "store/store.h"

struct commit_queue;
struct commit_queue *commit_queue_open(void);	/* NULL without memory */

/* Nobody may be in it, or use it afterwards. */
void		 commit_queue_close(struct commit_queue *);

/* ---- the callers' side, any thread ---- */

/* A hook to be committed, and the result:
 * FAULT_NONE	it is on stable storage; `stored` says as what
 * FAULT_BUSY	it was not committed in time. The commit may still end well
 *		later: if the caller puts the hook into the spool as well, the
 *		copy is recognised when it is imported (store.h)
 * FAULT_STUCK	the queue is stuck, or full: it was not tried
 * any other	the commit failed */
struct commit_request {
	struct received	*received;
	enum fault	 fault;
	struct stored	 stored;
	struct commit_job *job;		/* of commit_queue_put() alone */
};

/* Puts `count` requests into the queue and waits for their commit, at most
 * `wait_ms`. Each request then has its result. */
void		 commit_queue_put(struct commit_queue *,
		    struct commit_request *, unsigned count, unsigned wait_ms);

/* How many requests are in the queue now. */
unsigned	 commit_queue_queued(struct commit_queue *);

/* Makes commit_queue_wait() return false once the queue is empty. */
void		 commit_queue_stop(struct commit_queue *);

/* ---- the writer's side, one thread ---- */

/* A request in the queue, or taken out of it. It lives on the heap and holds a
 * reference to its hook: a caller whose time is over leaves, also while the
 * writer is at work on it. */
struct commit_job {
	struct commit_job *next;
	struct received	*received;
	struct stored	 stored;	/* the writer sets it */
	/* The rest is of commit_queue.c alone, guarded by the queue's lock. */
	enum { JOB_QUEUED, JOB_TAKEN, JOB_DONE, JOB_LEFT } place;
	enum fault	 fault;
	struct commit_caller *caller;	/* waits for it, unless JOB_LEFT */
};

/* Waits up to wait_ms for a request; not at all if there is one. False: the
 * queue was stopped, and is empty. */
bool		 commit_queue_wait(struct commit_queue *, unsigned wait_ms);

/* Takes requests out, the oldest first: up to `limit`, whose bodies have up to
 * `bytes` together; the first one even if it alone has more. A list, or NULL
 * when there is none. */
struct commit_job *commit_queue_take(struct commit_queue *, unsigned limit,
		    size_t bytes);

/* Hands over a list from commit_queue_take(), with the result `f` of its
 * commit, and wakes the callers. The writer must not use the list any more. */
void		 commit_queue_finish(struct commit_queue *,
		    struct commit_job *, enum fault f);

/* Marks the queue as stuck, or takes the mark away. */
void		 commit_queue_set_stuck(struct commit_queue *, bool);
bool		 commit_queue_is_stuck(struct commit_queue *);

#endif
