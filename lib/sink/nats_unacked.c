#include "sink/nats_unacked.h"

#include <time.h>

bool
waiting_start(struct waiting *w)
{
	pthread_condattr_t a;
	bool good;

	*w = (struct waiting){ .judged = NULL };
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
waiting_release(struct waiting *w)
{
	for (int i = 0; i < WAITING_BUCKETS; i++)
		row_free_all(w->bucket[i]);
	row_free_all(w->judged);
	pthread_cond_destroy(&w->some);
	pthread_mutex_destroy(&w->lock);
}

static struct row **
bucket_of(struct waiting *w, const char *event_id)
{
	uint32_t hash = 2166136261u;	/* FNV-1a */

	for (; *event_id != '\0'; event_id++)
		hash = (hash ^ (unsigned char)*event_id) * 16777619u;
	return &w->bucket[hash % WAITING_BUCKETS];
}

void
waiting_add(struct waiting *w, struct row *r)
{
	struct row **bucket = bucket_of(w, r->event_id);

	pthread_mutex_lock(&w->lock);
	r->next = *bucket;
	*bucket = r;
	pthread_mutex_unlock(&w->lock);
}

/* Takes a row out of its bucket; with the lock held. */
static void
judge(struct waiting *w, struct row **p, enum fate fate, uint64_t seq,
    const char *why)
{
	struct row *r = *p;

	*p = r->next;
	row_judge(r, fate, span_of(why));
	r->seq = seq;
	r->next = w->judged;
	w->judged = r;
}

void
waiting_judge(struct waiting *w, const char *event_id, enum fate fate,
    uint64_t seq, const char *why)
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
waiting_judge_all(struct waiting *w, enum fate fate, const char *why)
{
	pthread_mutex_lock(&w->lock);
	for (int i = 0; i < WAITING_BUCKETS; i++)
		while (w->bucket[i] != NULL)
			judge(w, &w->bucket[i], fate, 0, why);
	pthread_cond_signal(&w->some);
	pthread_mutex_unlock(&w->lock);
}

struct row *
waiting_take(struct waiting *w, int ms)
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
