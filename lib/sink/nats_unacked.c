#include "sink/nats_unacked.h"

#include <time.h>

bool
nats_unacked_start(struct nats_unacked *w)
{
	pthread_condattr_t a;
	bool good;

	*w = (struct nats_unacked){ .judged = NULL };
	if (pthread_condattr_init(&a) != 0)
		return false;
	/* Somebody may set the wall clock back by an hour. */
	good = pthread_condattr_setclock(&a, CLOCK_MONOTONIC) == 0 &&
	    pthread_cond_init(&w->some, &a) == 0;
	pthread_condattr_destroy(&a);
	if (good && pthread_mutex_init(&w->lock, NULL) != 0) {
		pthread_cond_destroy(&w->some);
		good = false;
	}
	return good;
}

void
nats_unacked_release(struct nats_unacked *w)
{
	for (int i = 0; i < NATS_UNACKED_BUCKETS; i++)
		row_free_all(w->bucket[i]);
	row_free_all(w->judged);
	pthread_cond_destroy(&w->some);
	pthread_mutex_destroy(&w->lock);
}

static struct row **
bucket_of(struct nats_unacked *w, const char *event_id)
{
	uint32_t hash = 2166136261u;	/* FNV-1a */

	for (; *event_id != '\0'; event_id++)
		hash = (hash ^ (unsigned char)*event_id) * 16777619u;
	return &w->bucket[hash % NATS_UNACKED_BUCKETS];
}

void
nats_unacked_add(struct nats_unacked *w, struct row *r)
{
	struct row **bucket = bucket_of(w, r->event_id);

	pthread_mutex_lock(&w->lock);
	r->next = *bucket;
	*bucket = r;
	pthread_mutex_unlock(&w->lock);
}

/* Takes a row out of its bucket; with the lock held. */
static void
judge(struct nats_unacked *w, struct row **p, enum fate fate, uint64_t seq,
    const char *why)
{
	struct row *r = *p;

	*p = r->next;
	row_set_fate(r, fate, span_of(why));
	r->seq = seq;
	r->next = w->judged;
	w->judged = r;
}

void
nats_unacked_set_fate(struct nats_unacked *w, const char *event_id,
    enum fate fate, uint64_t seq, const char *why)
{
	struct row **p = bucket_of(w, event_id);

	pthread_mutex_lock(&w->lock);
	while (*p != NULL && strcmp((*p)->event_id, event_id) != 0)
		p = &(*p)->next;
	if (*p != NULL) {
		judge(w, p, fate, seq, why);
		pthread_cond_signal(&w->some);
	}
	pthread_mutex_unlock(&w->lock);
}

void
nats_unacked_set_all_fates(
    struct nats_unacked *w, enum fate fate, const char *why)
{
	pthread_mutex_lock(&w->lock);
	for (int i = 0; i < NATS_UNACKED_BUCKETS; i++)
		while (w->bucket[i] != NULL)
			judge(w, &w->bucket[i], fate, 0, why);
	pthread_cond_signal(&w->some);
	pthread_mutex_unlock(&w->lock);
}

struct row *
nats_unacked_take(struct nats_unacked *w, int ms)
{
	struct timespec until;
	struct row *judged;
	int rc = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += ms % 1000 * 1000000L;
	until.tv_sec += ms / 1000 + until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&w->lock);
	while (w->judged == NULL && rc == 0)
		rc = pthread_cond_timedwait(&w->some, &w->lock, &until);
	judged = w->judged;
	w->judged = NULL;
	pthread_mutex_unlock(&w->lock);
	return judged;
}
