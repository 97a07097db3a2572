/* A request's way through the queue, with the place of its job:
 *
 *   1. commit_queue_put()	the caller makes a job, adds it (JOB_QUEUED),
 *				and waits for its semaphore
 *   2. commit_queue_take()	the writer takes it out (JOB_TAKEN)
 *   3. commit_queue_finish()	the writer notes the result (JOB_DONE); after
 *				the last job of a caller it posts the semaphore
 *   4. commit_queue_put()	the caller copies the result, frees the job
 *
 * When the time of step 1 is over first, give_up() takes a queued job out
 * again. A taken one becomes JOB_LEFT: the writer frees it in step 3. */
#include "store/commit_queue.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"

/* The queue is full with bodies of 32 MiB: a writer that is so far behind does
 * not catch up before the callers' time is over. */
#define QUEUED_BYTES_MAX	33554432

struct commit_queue {
	pthread_mutex_t	 lock;		/* guards all below, and each job's
					 * place, fault and next */
	pthread_cond_t	 work;		/* head, or stop, was set */
	struct commit_job *head, **tail;
	unsigned	 queued;	/* jobs from head on */
	size_t		 bytes;		/* of bodies: queued or taken */
	bool		 stop, stuck;
};

/* A thread that waits for its jobs. It lives as long as the thread, and not in
 * one call of commit_queue_put(): the writer may still be inside sem_post()
 * when the caller that was woken has already returned. */
struct commit_caller {
	sem_t		 woken;		/* posted with the last job */
	unsigned	 left;		/* jobs that are not done; written with
					 * the lock held, and atomic */
};

static struct timespec
deadline_in(unsigned ms)
{
	int64_t at = clock_ms() + ms;

	return (struct timespec){ .tv_sec = at / 1000,
	    .tv_nsec = at % 1000 * 1000000 };
}

struct commit_queue *
commit_queue_open(void)
{
	struct commit_queue *q = calloc(1, sizeof(*q));
	pthread_condattr_t attr;

	if (q == NULL)
		return NULL;
	q->tail = &q->head;
	pthread_mutex_init(&q->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&q->work, &attr);
	pthread_condattr_destroy(&attr);
	return q;
}

void
commit_queue_close(struct commit_queue *q)
{
	if (q == NULL)
		return;
	pthread_cond_destroy(&q->work);
	pthread_mutex_destroy(&q->lock);
	free(q);
}

/* ---- jobs ---- */

static struct commit_job *
job_new(struct received *r, struct commit_caller *caller)
{
	struct commit_job *j = calloc(1, sizeof(*j));

	if (j == NULL)
		return NULL;
	j->received = received_hold(r);
	j->caller = caller;
	return j;
}

static void
job_free(struct commit_job *j)
{
	received_drop(j->received);
	free(j);
}

static size_t
job_bytes(const struct commit_job *j)
{
	return j->received->hook.body.len;
}

/* With the lock held: adds the job at the end. False: the queue is stuck or
 * full. One job is always let in, however long its body. */
static bool
add_job(struct commit_queue *q, struct commit_job *j)
{
	if (q->stuck || (q->bytes > 0 &&
	    q->bytes + job_bytes(j) > QUEUED_BYTES_MAX))
		return false;
	q->bytes += job_bytes(j);
	*q->tail = j;
	q->tail = &j->next;
	q->queued++;
	j->caller->left++;
	return true;
}

/* With the lock held: takes a job out, from wherever it is in the queue. */
static void
remove_job(struct commit_queue *q, struct commit_job *j)
{
	struct commit_job **p;

	for (p = &q->head; *p != j; p = &(*p)->next)
		;
	if ((*p = j->next) == NULL)
		q->tail = p;
	q->queued--;
	q->bytes -= job_bytes(j);
}

/* ---- the callers' side ---- */

static void
add_requests(struct commit_queue *q, struct commit_caller *caller,
    struct commit_request *r, unsigned count)
{
	bool first;

	for (unsigned i = 0; i < count; i++) {
		r[i].stored = (struct stored){ false, false, false };
		r[i].job = job_new(r[i].received, caller);
	}
	pthread_mutex_lock(&q->lock);
	first = q->head == NULL;
	for (unsigned i = 0; i < count; i++)
		r[i].fault = r[i].job == NULL ? FAULT_MEMORY :
		    add_job(q, r[i].job) ? FAULT_NONE : FAULT_STUCK;
	first &= q->head != NULL;
	pthread_mutex_unlock(&q->lock);
	if (first)
		pthread_cond_signal(&q->work);
}

/* The caller's time is over: its jobs that are not done get FAULT_BUSY. False:
 * all were done in the meantime, so the semaphore was posted. */
static bool
give_up(struct commit_queue *q, struct commit_caller *caller,
    struct commit_request *r, unsigned count)
{
	bool left;

	pthread_mutex_lock(&q->lock);
	left = caller->left > 0;
	for (unsigned i = 0; i < count && left; i++) {
		struct commit_job *j = r[i].job;

		if (r[i].fault != FAULT_NONE || j->place == JOB_DONE)
			continue;
		q->stuck = true;
		r[i].fault = FAULT_BUSY;
		if (j->place == JOB_QUEUED)
			remove_job(q, j);
		else
			r[i].job = NULL;	/* the writer frees it */
		j->place = JOB_LEFT;
	}
	pthread_mutex_unlock(&q->lock);
	return left;
}

/* False: the time is over. */
static bool
wait_until(sem_t *s, struct timespec deadline)
{
	int rc;

	do
		rc = sem_clockwait(s, CLOCK_MONOTONIC, &deadline);
	while (rc != 0 && errno == EINTR);
	return rc == 0;
}

void
commit_queue_put(struct commit_queue *q, struct commit_request *r,
    unsigned count, unsigned wait_ms)
{
	static _Thread_local struct commit_caller caller;
	bool any = false;

	caller.left = 0;
	(void)sem_init(&caller.woken, 0, 0);
	add_requests(q, &caller, r, count);
	for (unsigned i = 0; i < count; i++)
		any |= r[i].fault == FAULT_NONE;
	if (any && !wait_until(&caller.woken, deadline_in(wait_ms)) &&
	    !give_up(q, &caller, r, count))
		while (sem_wait(&caller.woken) != 0)	/* EINTR */
			;
	/* For TSan, which does not know sem_clockwait(). */
	(void)__atomic_load_n(&caller.left, __ATOMIC_ACQUIRE);
	for (unsigned i = 0; i < count; i++) {
		if (r[i].job == NULL)
			continue;
		if (r[i].job->place == JOB_DONE) {
			r[i].fault = r[i].job->fault;
			r[i].stored = r[i].job->stored;
		}
		job_free(r[i].job);
	}
}

unsigned
commit_queue_queued(struct commit_queue *q)
{
	unsigned n;

	pthread_mutex_lock(&q->lock);
	n = q->queued;
	pthread_mutex_unlock(&q->lock);
	return n;
}

void
commit_queue_stop(struct commit_queue *q)
{
	pthread_mutex_lock(&q->lock);
	q->stop = true;
	pthread_cond_signal(&q->work);
	pthread_mutex_unlock(&q->lock);
}

/* ---- the writer's side ---- */

bool
commit_queue_wait(struct commit_queue *q, unsigned wait_ms)
{
	struct timespec deadline = deadline_in(wait_ms);
	bool go_on;
	int rc = wait_ms == 0;

	pthread_mutex_lock(&q->lock);
	while (!q->stop && q->head == NULL && rc == 0)
		rc = pthread_cond_timedwait(&q->work, &q->lock, &deadline);
	go_on = !q->stop || q->head != NULL;
	pthread_mutex_unlock(&q->lock);
	return go_on;
}

struct commit_job *
commit_queue_take(struct commit_queue *q, unsigned limit, size_t bytes)
{
	struct commit_job *taken = NULL, **end = &taken;
	size_t all = 0;
	unsigned n;

	pthread_mutex_lock(&q->lock);
	for (n = 0; n < limit && q->head != NULL; n++) {
		all += job_bytes(q->head);
		if (n > 0 && all > bytes)
			break;
		*end = q->head;
		q->head = q->head->next;
		(*end)->place = JOB_TAKEN;
		end = &(*end)->next;
	}
	*end = NULL;
	if (q->head == NULL)
		q->tail = &q->head;
	q->queued -= n;
	pthread_mutex_unlock(&q->lock);
	return taken;
}

void
commit_queue_finish(struct commit_queue *q, struct commit_job *jobs,
    enum fault f)
{
	struct commit_job *j, *next, *left = NULL;

	pthread_mutex_lock(&q->lock);
	for (j = jobs; j != NULL; j = next) {
		struct commit_caller *caller = j->caller;

		next = j->next;
		q->bytes -= job_bytes(j);
		if (j->place == JOB_LEFT) {
			j->next = left;
			left = j;
			continue;
		}
		/* From here on the caller may free it. */
		j->fault = f;
		j->place = JOB_DONE;
		if (__atomic_sub_fetch(&caller->left, 1, __ATOMIC_RELEASE) ==
		    0)
			sem_post(&caller->woken);
	}
	pthread_mutex_unlock(&q->lock);
	for (j = left; j != NULL; j = next) {
		next = j->next;
		job_free(j);
	}
}

void
commit_queue_set_stuck(struct commit_queue *q, bool stuck)
{
	pthread_mutex_lock(&q->lock);
	q->stuck = stuck;
	pthread_mutex_unlock(&q->lock);
}

bool
commit_queue_is_stuck(struct commit_queue *q)
{
	bool stuck;

	pthread_mutex_lock(&q->lock);
	stuck = q->stuck;
	pthread_mutex_unlock(&q->lock);
	return stuck;
}
