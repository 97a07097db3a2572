#include "plain.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static struct span
param(void *arg, const char *name)
{
	(void)arg;
	return span_of(getenv(name));
}

static size_t
read_body(void *arg, char *buf, size_t n)
{
	size_t got = 0;
	ssize_t rc;

	(void)arg;
	while (got < n) {
		rc = read(STDIN_FILENO, buf + got, n - got);
		if (rc < 0 && errno == EINTR)
			continue;
		if (rc <= 0)
			break;
		got += (size_t)rc;
	}
	return got;
}

/* One request, one process: there is nothing else to do meanwhile. */
struct wait {
	struct exchange	 exchange;
	pthread_mutex_t	 lock;		/* guards done */
	pthread_cond_t	 cond;
	bool		 done;
};

static void
on_done(struct waiting *w)
{
	struct wait *me = (struct wait *)(void *)((char *)w -
	    offsetof(struct wait, exchange.waiting));

	pthread_mutex_lock(&me->lock);
	me->done = true;
	pthread_cond_signal(&me->cond);
	pthread_mutex_unlock(&me->lock);
}

static void
await(struct wait *me, unsigned wait_ms)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += wait_ms / 1000;
	until.tv_nsec += (long)(wait_ms % 1000) * 1000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&me->lock);
	while (!me->done && pthread_cond_timedwait(&me->cond, &me->lock,
	    &until) == 0)
		;
	/* Too late to withdraw it: then it is done in an instant. */
	if (!me->done && !answer_withdraw(&me->exchange))
		while (!me->done)
			pthread_cond_wait(&me->cond, &me->lock);
	pthread_mutex_unlock(&me->lock);
}

static int
write_all(struct span s)
{
	while (s.len > 0) {
		ssize_t n = write(STDOUT_FILENO, s.at, s.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		s.at += n;
		s.len -= (size_t)n;
	}
	return 0;
}

int
plain_serve(struct service *service)
{
	struct request q = { param, read_body, NULL };
	struct wait me = { .lock = PTHREAD_MUTEX_INITIALIZER,
	    .cond = PTHREAD_COND_INITIALIZER };
	struct text t = { 0 };
	int rc;

	if (!answer(&me.exchange, service, &q, on_done)) {
		await(&me, service->commit_wait);
		answer_finish(&me.exchange);
	}
	reply_write(&t, &me.exchange.reply);
	rc = t.broken ? -1 : write_all(text_view(&t));
	text_release(&t);
	answer_release(&me.exchange);
	return rc;
}
