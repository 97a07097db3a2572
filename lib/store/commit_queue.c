#include "store/commit_queue.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"

/* Bytes of bodies that may wait for a commit. A writer that is further behind
 * than this counts as stuck: the spool takes the next ones. */
#define QUEUED_BYTES	33554432

struct commit_queue {
	pthread_mutex_t	 lock;		/* guards all of this, and the jobs */
	pthread_cond_t	 work;
	struct commit_job	*head, **tail;
	unsigned	 queued;
	size_t		 bytes;		/* of bodies: queued or taken */
	bool		 stop, stuck;
};

static struct timespec
in_ms(unsigned ms)
{
	int64_t at = clock_ms() + ms;

	return (struct timespec){ .tv_sec = at / 1000,
	    .tv_nsec = at % 1000 * 1000000 };
}

struct commit_queue *
commit_queue_open(void)
{
	struct commit_queue *in = calloc(1, sizeof(*in));
	pthread_condattr_t attr;

	if (in == NULL)
		return NULL;
	in->tail = &in->head;
	pthread_mutex_init(&in->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&in->work, &attr);
	pthread_condattr_destroy(&attr);
	return in;
}

void
commit_queue_close(struct commit_queue *in)
{
	if (in == NULL)
		return;
	pthread_cond_destroy(&in->work);
	pthread_mutex_destroy(&in->lock);
	free(in);
}

static void
job_free(struct commit_job *j)
{
	received_drop(j->received);
	free(j);
}

/* With the lock held. */
static void
unqueue(struct commit_queue *in, struct commit_job *j)
{
	struct commit_job **p;

	for (p = &in->head; *p != j; p = &(*p)->next)
		;
	if ((*p = j->next) == NULL)
		in->tail = p;
	in->queued--;
}

static size_t
size_of(const struct commit_job *j)
{
	return j->received->hook.body.len;
}

/* Those who wait together: a thread's, not a job's, since it is posted after
 * the jobs may be gone. */
struct commit_caller {
	sem_t		 woken;		/* by the last of them */
	unsigned	 left;		/* that are not done; guarded, and
					 * atomic */
};

/* With the lock held: at the end of the queue. False: it would wait in vain. */
static bool
enqueue(struct commit_queue *in, struct commit_job *j)
{
	if (in->stuck || (in->bytes > 0 &&
	    in->bytes + size_of(j) > QUEUED_BYTES))
		return false;
	in->bytes += size_of(j);
	*in->tail = j;
	in->tail = &j->next;
	in->queued++;
	j->party->left++;
	return true;
}

static struct commit_job *
job_new(struct received *r, struct commit_caller *p)
{
	struct commit_job *j = calloc(1, sizeof(*j));

	if (j == NULL)
		return NULL;
	j->received = received_hold(r);
	j->party = p;
	return j;
}

static void
hand_in(struct commit_queue *in, struct commit_caller *p,
    struct commit_request *w, unsigned count)
{
	bool first;

	for (unsigned i = 0; i < count; i++) {
		w[i].stored = (struct stored){ false, false, false };
		w[i].job = job_new(w[i].received, p);
	}
	pthread_mutex_lock(&in->lock);
	first = in->head == NULL;
	for (unsigned i = 0; i < count; i++) {
		w[i].fault = w[i].job == NULL ? FAULT_MEMORY :
		    enqueue(in, w[i].job) ? FAULT_NONE : FAULT_STUCK;
	}
	first &= in->head != NULL;
	pthread_mutex_unlock(&in->lock);
	if (first)
		pthread_cond_signal(&in->work);
}

/* Of those who have waited for too long. False: they are all done meanwhile,
 * and woken for it. */
static bool
leave(struct commit_queue *in, struct commit_caller *p,
    struct commit_request *w, unsigned count)
{
	bool left;

	pthread_mutex_lock(&in->lock);
	left = p->left > 0;
	for (unsigned i = 0; i < count && left; i++) {
		struct commit_job *j = w[i].job;

		if (w[i].fault != FAULT_NONE || j->place == JOB_DONE)
			continue;
		in->stuck = true;
		w[i].fault = FAULT_BUSY;
		if (j->place == JOB_QUEUED) {
			unqueue(in, j);
			in->bytes -= size_of(j);
		} else {
			w[i].job = NULL;	/* the writer's, now */
		}
		j->place = JOB_LEFT;
	}
	pthread_mutex_unlock(&in->lock);
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
commit_queue_put(struct commit_queue *in, struct commit_request *w,
    unsigned count, unsigned wait_ms)
{
	static _Thread_local struct commit_caller party;
	struct commit_caller *p = &party;
	bool any = false;

	p->left = 0;
	(void)sem_init(&p->woken, 0, 0);
	hand_in(in, p, w, count);
	for (unsigned i = 0; i < count; i++)
		any |= w[i].fault == FAULT_NONE;
	if (any && !wait_until(&p->woken, in_ms(wait_ms)) &&
	    !leave(in, p, w, count))
		while (sem_wait(&p->woken) != 0)	/* EINTR */
			;
	/* For TSan, which does not know sem_clockwait(). */
	(void)__atomic_load_n(&p->left, __ATOMIC_ACQUIRE);
	for (unsigned i = 0; i < count; i++) {
		if (w[i].job == NULL)
			continue;
		if (w[i].job->place == JOB_DONE) {
			w[i].fault = w[i].job->fault;
			w[i].stored = w[i].job->stored;
		}
		job_free(w[i].job);
	}
}

unsigned
commit_queue_queued(struct commit_queue *in)
{
	unsigned n;

	pthread_mutex_lock(&in->lock);
	n = in->queued;
	pthread_mutex_unlock(&in->lock);
	return n;
}

void
commit_queue_stop(struct commit_queue *in)
{
	pthread_mutex_lock(&in->lock);
	in->stop = true;
	pthread_cond_signal(&in->work);
	pthread_mutex_unlock(&in->lock);
}

bool
commit_queue_wait(struct commit_queue *in, unsigned wait_ms)
{
	struct timespec deadline = in_ms(wait_ms);
	bool go_on;
	int rc = wait_ms == 0;

	pthread_mutex_lock(&in->lock);
	while (!in->stop && in->head == NULL && rc == 0)
		rc = pthread_cond_timedwait(&in->work, &in->lock, &deadline);
	go_on = !in->stop || in->head != NULL;
	pthread_mutex_unlock(&in->lock);
	return go_on;
}

struct commit_job *
commit_queue_take(struct commit_queue *in, unsigned limit, size_t bytes)
{
	struct commit_job *taken = NULL, **end = &taken;
	size_t all = 0;
	unsigned n;

	pthread_mutex_lock(&in->lock);
	for (n = 0; n < limit && in->head != NULL; n++) {
		all += size_of(in->head);
		if (n > 0 && all > bytes)
			break;
		*end = in->head;
		in->head = in->head->next;
		(*end)->place = JOB_TAKEN;
		end = &(*end)->next;
	}
	*end = NULL;
	if (in->head == NULL)
		in->tail = &in->head;
	in->queued -= n;
	pthread_mutex_unlock(&in->lock);
	return taken;
}

void
commit_queue_finish(
    struct commit_queue *in, struct commit_job *jobs, enum fault f)
{
	struct commit_job *j, *next, *left = NULL;

	pthread_mutex_lock(&in->lock);
	for (j = jobs; j != NULL; j = next) {
		struct commit_caller *p = j->party;

		next = j->next;
		in->bytes -= size_of(j);
		if (j->place == JOB_LEFT) {
			j->next = left;
			left = j;
			continue;
		}
		/* From here on it is its caller's. */
		j->fault = f;
		j->place = JOB_DONE;
		if (__atomic_sub_fetch(&p->left, 1, __ATOMIC_RELEASE) == 0)
			sem_post(&p->woken);
	}
	pthread_mutex_unlock(&in->lock);
	for (j = left; j != NULL; j = next) {
		next = j->next;
		job_free(j);
	}
}

void
commit_queue_set_stuck(struct commit_queue *in, bool stuck)
{
	pthread_mutex_lock(&in->lock);
	in->stuck = stuck;
	pthread_mutex_unlock(&in->lock);
}

bool
commit_queue_is_stuck(struct commit_queue *in)
{
	bool stuck;

	pthread_mutex_lock(&in->lock);
	stuck = in->stuck;
	pthread_mutex_unlock(&in->lock);
	return stuck;
}
