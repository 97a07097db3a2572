#include "sink/nats_unacked.h"

#include <time.h>

bool
nats_unacked_start(struct nats_unacked *u)
{
	pthread_condattr_t a;
	bool good;

	*u = (struct nats_unacked){ .done = NULL };
	if (pthread_condattr_init(&a) != 0)
		return false;
	/* A wait must not become longer when somebody sets the wall clock
	 * back. */
	good = pthread_condattr_setclock(&a, CLOCK_MONOTONIC) == 0 &&
	    pthread_cond_init(&u->some_done, &a) == 0;
	pthread_condattr_destroy(&a);
	if (good && pthread_mutex_init(&u->lock, NULL) != 0) {
		pthread_cond_destroy(&u->some_done);
		good = false;
	}
	return good;
}

void
nats_unacked_release(struct nats_unacked *u)
{
	for (int i = 0; i < NATS_UNACKED_BUCKETS; i++)
		row_free_all(u->bucket[i]);
	row_free_all(u->done);
	pthread_cond_destroy(&u->some_done);
	pthread_mutex_destroy(&u->lock);
}

static struct row **
bucket_of_event(struct nats_unacked *u, const char *event_id)
{
	return &u->bucket[row_hash(span_of(event_id)) % NATS_UNACKED_BUCKETS];
}

void
nats_unacked_add(struct nats_unacked *u, struct row *r)
{
	struct row **bucket = bucket_of_event(u, r->event_id);

	pthread_mutex_lock(&u->lock);
	r->next = *bucket;
	*bucket = r;
	pthread_mutex_unlock(&u->lock);
}

/* Moves the row at *p out of its bucket to those that are done; with the lock
 * held. */
static void
finish_row(struct nats_unacked *u, struct row **p, enum fate fate,
    uint64_t seq, const char *why)
{
	struct row *r = *p;

	*p = r->next;
	row_set_fate(r, fate, span_of(why));
	r->seq = seq;
	r->next = u->done;
	u->done = r;
}

void
nats_unacked_set_fate(struct nats_unacked *u, const char *event_id,
    enum fate fate, uint64_t seq, const char *why)
{
	struct row **p = bucket_of_event(u, event_id);

	pthread_mutex_lock(&u->lock);
	while (*p != NULL && strcmp((*p)->event_id, event_id) != 0)
		p = &(*p)->next;
	if (*p != NULL) {
		finish_row(u, p, fate, seq, why);
		pthread_cond_signal(&u->some_done);
	}
	pthread_mutex_unlock(&u->lock);
}

void
nats_unacked_set_all_fates(struct nats_unacked *u, enum fate fate,
    const char *why)
{
	pthread_mutex_lock(&u->lock);
	for (int i = 0; i < NATS_UNACKED_BUCKETS; i++)
		while (u->bucket[i] != NULL)
			finish_row(u, &u->bucket[i], fate, 0, why);
	pthread_cond_signal(&u->some_done);
	pthread_mutex_unlock(&u->lock);
}

struct row *
nats_unacked_take(struct nats_unacked *u, int ms)
{
	struct timespec until;
	struct row *done;
	int rc = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += ms % 1000 * 1000000L;
	until.tv_sec += ms / 1000 + until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&u->lock);
	while (u->done == NULL && rc == 0)
		rc = pthread_cond_timedwait(&u->some_done, &u->lock, &until);
	done = u->done;
	u->done = NULL;
	pthread_mutex_unlock(&u->lock);
	return done;
}
