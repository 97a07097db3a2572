#include "turns.h"

#include <unistd.h>

#define LEAST	2	/* however few processors there are */

void
turns_open(struct turns *t, unsigned limit)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	if (limit == 0)
		limit = cpus < LEAST ? LEAST : (unsigned)cpus;
	*t = (struct turns){ .limit = limit };
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->wanted, NULL);
}

void
turns_close(struct turns *t)
{
	pthread_cond_destroy(&t->wanted);
	pthread_mutex_destroy(&t->lock);
}

void
turns_take(struct turns *t)
{
	pthread_mutex_lock(&t->lock);
	t->taken++;
	pthread_mutex_unlock(&t->lock);
}

void
turns_leave(struct turns *t)
{
	pthread_mutex_lock(&t->lock);
	if (t->taken-- <= t->limit)
		pthread_cond_signal(&t->wanted);
	pthread_mutex_unlock(&t->lock);
}

bool
turns_keep(struct turns *t)
{
	bool over;

	pthread_mutex_lock(&t->lock);
	if (t->taken > t->limit && !t->over) {
		t->taken--;
		while (t->taken >= t->limit && !t->over)
			pthread_cond_wait(&t->wanted, &t->lock);
		t->taken++;
	}
	over = t->over;
	pthread_mutex_unlock(&t->lock);
	return !over;
}

void
turns_end(struct turns *t)
{
	pthread_mutex_lock(&t->lock);
	t->over = true;
	pthread_cond_broadcast(&t->wanted);
	pthread_mutex_unlock(&t->lock);
}
