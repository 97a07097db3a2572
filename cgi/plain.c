#include "plain.h"

#include <errno.h>
#include <pthread.h>
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
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards done */
static pthread_cond_t cond;
static bool done;

static void
on_done(struct exchange *x)
{
	(void)x;
	pthread_mutex_lock(&lock);
	done = true;
	pthread_cond_signal(&cond);
	pthread_mutex_unlock(&lock);
}

/* A calendar that is set back must not make anybody wait for longer. */
static void
open_cond(void)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&cond, &attr);
	pthread_condattr_destroy(&attr);
}

static void
await(struct exchange *x, const struct handler *h)
{
	unsigned wait_ms = h->patience;
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += wait_ms / 1000;
	until.tv_nsec += (long)(wait_ms % 1000) * 1000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&lock);
	while (!done && pthread_cond_timedwait(&cond, &lock, &until) == 0)
		;
	/* Too late to withdraw it: then it is done in an instant. */
	if (!done && !h->withdraw(x))
		while (!done)
			pthread_cond_wait(&cond, &lock);
	pthread_mutex_unlock(&lock);
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
plain_serve(const struct handler *h)
{
	struct request q = { param, read_body, NULL };
	struct exchange *x = calloc(1, h->size);
	struct text t = { 0 };
	int rc;

	if (x == NULL)
		return -1;
	open_cond();
	x->done = on_done;
	if (!h->begin(x, h->arg, &q)) {
		await(x, h);
		h->finish(x);
	}
	reply_write(&t, &x->reply);
	rc = t.broken || x->reply.body.broken ? -1 :
	    write_all(text_view(&t));
	text_release(&t);
	h->release(x);
	free(x);
	return rc;
}
