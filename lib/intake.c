#include "intake.h"

#include <stdlib.h>
#include <time.h>

/* Bytes of bodies that may wait for a commit. A writer that is further behind
 * than this counts as stuck: the spool takes the next ones. */
#define QUEUED_BYTES	33554432

struct intake {
	pthread_mutex_t	 lock;		/* guards all of this, and the jobs */
	pthread_cond_t	 work;
	struct job	*head, **tail;
	unsigned	 queued;
	size_t		 bytes;		/* of bodies: queued or taken */
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

struct intake *
intake_open(void)
{
	struct intake *in = calloc(1, sizeof(*in));
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

static size_t
size_of(const struct job *j)
{
	return j->receipt->hook.body.len;
}

enum fault
intake_put(struct intake *in, struct waiting *w)
{
	struct job *j = calloc(1, sizeof(*j));
	enum fault f = FAULT_NONE;
	bool first = false;

	w->stored = (struct stored){ false, false, false };
	if (j == NULL)
		return FAULT_MEMORY;
	j->receipt = receipt_hold(w->receipt);
	j->waiting = w;
	w->job = j;
	pthread_mutex_lock(&in->lock);
	if (in->stuck || (in->bytes > 0 &&
	    in->bytes + size_of(j) > QUEUED_BYTES)) {
		f = FAULT_STUCK;
	} else {
		in->bytes += size_of(j);
		*in->tail = j;
		in->tail = &j->next;
		first = in->queued++ == 0;
	}
	pthread_mutex_unlock(&in->lock);
	if (first)
		pthread_cond_signal(&in->work);
	if (f != FAULT_NONE) {
		w->job = NULL;
		job_free(j);
	}
	return f;
}

bool
intake_withdraw(struct intake *in, struct waiting *w)
{
	struct job *j = w->job, *mine = NULL;
	bool withdrawn = false;

	pthread_mutex_lock(&in->lock);
	if (j != NULL) {
		withdrawn = true;
		in->stuck = true;
		j->waiting = NULL;
		w->job = NULL;
		w->fault = FAULT_BUSY;
		if (j->place == JOB_QUEUED) {
			unqueue(in, j);
			in->bytes -= size_of(j);
			mine = j;
		}
	}
	pthread_mutex_unlock(&in->lock);
	if (mine != NULL)
		job_free(mine);
	return withdrawn;
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
intake_take(struct intake *in, unsigned limit, size_t bytes)
{
	struct job *taken = NULL, **end = &taken;
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
intake_settle(struct intake *in, struct job *jobs, enum fault f)
{
	struct job *j, *next;

	pthread_mutex_lock(&in->lock);
	for (j = jobs; j != NULL; j = j->next) {
		j->place = JOB_DONE;
		in->bytes -= size_of(j);
		if (j->waiting == NULL)
			continue;
		j->waiting->fault = f;
		j->waiting->stored = j->stored;
		j->waiting->job = NULL;		/* no way back from here */
	}
	pthread_mutex_unlock(&in->lock);
	for (j = jobs; j != NULL; j = next) {
		struct waiting *w = j->waiting;

		next = j->next;
		job_free(j);
		if (w != NULL)
			w->done(w);
	}
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
