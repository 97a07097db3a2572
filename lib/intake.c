#include "intake.h"

#include <stdlib.h>
#include <time.h>

struct intake {
	pthread_mutex_t	 lock;		/* guards all of this, and the jobs */
	pthread_cond_t	 work;
	struct job	*head, **tail;
	unsigned	 queued;
	bool		 stop, stuck;
};

int64_t
intake_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static struct timespec
in_ms(unsigned ms)
{
	int64_t at = intake_now() + ms;

	return (struct timespec){ .tv_sec = at / 1000,
	    .tv_nsec = at % 1000 * 1000000 };
}

static void
monotonic_cond(pthread_cond_t *cond)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &attr);
	pthread_condattr_destroy(&attr);
}

struct intake *
intake_open(void)
{
	struct intake *in = calloc(1, sizeof(*in));

	if (in == NULL)
		return NULL;
	in->tail = &in->head;
	pthread_mutex_init(&in->lock, NULL);
	monotonic_cond(&in->work);
	return in;
}

void
intake_close(struct intake *in)
{
	if (in == NULL)
		return;
	pthread_cond_destroy(&in->work);
	pthread_mutex_destroy(&in->lock);
	free(in);
}

static void
job_free(struct job *j)
{
	pthread_cond_destroy(&j->done);
	receipt_drop(j->receipt);
	free(j);
}

/* With the lock held. */
static void
unqueue(struct intake *in, struct job *j)
{
	struct job **p;

	for (p = &in->head; *p != j; p = &(*p)->next)
		;
	if ((*p = j->next) == NULL)
		in->tail = p;
	in->queued--;
}

/* With the lock held, which it lets go. */
static enum fault
wait_for(struct intake *in, struct job *j, unsigned wait_ms,
    struct stored *stored)
{
	struct timespec deadline = in_ms(wait_ms);
	enum fault f = FAULT_BUSY;
	bool mine = true;
	int rc = 0;

	while (j->place != JOB_DONE && rc == 0)
		rc = pthread_cond_timedwait(&j->done, &in->lock, &deadline);
	if (j->place == JOB_DONE) {
		f = j->fault;
		*stored = j->stored;
	} else if (j->place == JOB_QUEUED) {
		unqueue(in, j);
	} else {
		j->left = true;
		mine = false;
	}
	/* Whoever has waited in vain spares the others the wait. */
	if (f == FAULT_BUSY)
		in->stuck = true;
	pthread_mutex_unlock(&in->lock);
	if (mine)
		job_free(j);
	return f;
}

enum fault
intake_put(struct intake *in, struct receipt *r, unsigned wait_ms,
    struct stored *stored)
{
	struct job *j = calloc(1, sizeof(*j));

	*stored = (struct stored){ false, false };
	if (j == NULL)
		return FAULT_MEMORY;
	monotonic_cond(&j->done);
	j->receipt = receipt_hold(r);
	pthread_mutex_lock(&in->lock);
	if (in->stuck) {
		pthread_mutex_unlock(&in->lock);
		job_free(j);
		return FAULT_STUCK;
	}
	*in->tail = j;
	in->tail = &j->next;
	if (in->queued++ == 0)
		pthread_cond_signal(&in->work);
	return wait_for(in, j, wait_ms, stored);
}

unsigned
intake_queued(struct intake *in)
{
	unsigned n;

	pthread_mutex_lock(&in->lock);
	n = in->queued;
	pthread_mutex_unlock(&in->lock);
	return n;
}

void
intake_stop(struct intake *in)
{
	pthread_mutex_lock(&in->lock);
	in->stop = true;
	pthread_cond_signal(&in->work);
	pthread_mutex_unlock(&in->lock);
}

bool
intake_wait(struct intake *in, unsigned wait_ms)
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

struct job *
intake_take(struct intake *in, unsigned limit)
{
	struct job *taken = NULL, **end = &taken;
	unsigned n;

	pthread_mutex_lock(&in->lock);
	for (n = 0; n < limit && in->head != NULL; n++) {
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

unsigned
intake_settle(struct intake *in, struct job *jobs, enum fault f)
{
	struct job *j, *next, *left = NULL;
	unsigned n = 0;

	pthread_mutex_lock(&in->lock);
	for (j = jobs; j != NULL; j = next) {
		next = j->next;
		n++;
		if (j->left) {
			j->next = left;
			left = j;
			continue;
		}
		j->fault = f;
		j->place = JOB_DONE;
		pthread_cond_signal(&j->done);
	}
	pthread_mutex_unlock(&in->lock);
	for (j = left; j != NULL; j = next) {
		next = j->next;
		job_free(j);
	}
	return n;
}

void
intake_set_stuck(struct intake *in, bool stuck)
{
	pthread_mutex_lock(&in->lock);
	in->stuck = stuck;
	pthread_mutex_unlock(&in->lock);
}

bool
intake_is_stuck(struct intake *in)
{
	bool stuck;

	pthread_mutex_lock(&in->lock);
	stuck = in->stuck;
	pthread_mutex_unlock(&in->lock);
	return stuck;
}
