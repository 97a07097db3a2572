#include "threads.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include "fcgi.h"

#define WAKE_MS	10	/* between nudges while stopping */
#define REST_MS	20	/* when accept() is out of descriptors */

struct threads {
	struct listener	 listener;
	struct service	*service;
	pthread_t	*thread;
	unsigned	 count;
	unsigned	 running;	/* atomic */
	bool		 stop;		/* atomic */
};

static void
rest(long ms)
{
	struct timespec ts = { .tv_nsec = ms * 1000000 };

	nanosleep(&ts, NULL);
}

/* The only place where a nudge gets through: in the middle of a request it
 * would interrupt a read. A shutdown of the socket would wake the threads as
 * well, but an inherited one belongs to others too. */
static int
accept_next(struct threads *t)
{
	sigset_t nudge;
	int fd, e;

	sigemptyset(&nudge);
	sigaddset(&nudge, SIGUSR1);
	pthread_sigmask(SIG_UNBLOCK, &nudge, NULL);
	fd = accept4(t->listener.fd, NULL, NULL, SOCK_CLOEXEC);
	e = errno;
	pthread_sigmask(SIG_BLOCK, &nudge, NULL);
	errno = e;
	return fd;
}

static void *
run(void *arg)
{
	struct threads *t = arg;

	while (!__atomic_load_n(&t->stop, __ATOMIC_RELAXED)) {
		int fd = accept_next(t);

		if (fd >= 0)
			fcgi_serve(fd, t->service, &t->stop);
		else if (errno == EMFILE || errno == ENFILE ||
		    errno == ENOMEM || errno == ENOBUFS)
			rest(REST_MS);
	}
	__atomic_sub_fetch(&t->running, 1, __ATOMIC_RELEASE);
	return NULL;
}

/* Only there so that a signal interrupts accept(). */
static void
nudged(int sig)
{
	(void)sig;
}

int
threads_start(struct threads **out, const struct listener *l, unsigned count,
    struct service *service)
{
	struct sigaction nudge = { .sa_handler = nudged };
	struct threads *t = calloc(1, sizeof(*t));

	*out = NULL;
	if (t == NULL || sigaction(SIGUSR1, &nudge, NULL) != 0 ||
	    (t->thread = calloc(count, sizeof(*t->thread))) == NULL) {
		free(t);
		return -1;
	}
	t->listener = *l;
	t->service = service;
	while (t->count < count) {
		__atomic_add_fetch(&t->running, 1, __ATOMIC_RELAXED);
		if (pthread_create(&t->thread[t->count], NULL, run, t) != 0) {
			__atomic_sub_fetch(&t->running, 1, __ATOMIC_RELAXED);
			threads_stop(t);
			return -1;
		}
		t->count++;
	}
	*out = t;
	return 0;
}

/* What still waits on a socket that nobody will serve after us. */
static void
drain(struct threads *t)
{
	int fd;

	if (t->listener.inherited)
		return;
	(void)fcntl(t->listener.fd, F_SETFL, O_NONBLOCK);
	while ((fd = accept4(t->listener.fd, NULL, NULL, SOCK_CLOEXEC)) >= 0)
		fcgi_serve(fd, t->service, &t->stop);
}

void
threads_stop(struct threads *t)
{
	__atomic_store_n(&t->stop, true, __ATOMIC_RELAXED);
	/* A nudge that comes just before accept() is lost: so again. */
	while (__atomic_load_n(&t->running, __ATOMIC_ACQUIRE) > 0) {
		for (unsigned i = 0; i < t->count; i++)
			(void)pthread_kill(t->thread[i], SIGUSR1);
		rest(WAKE_MS);
	}
	for (unsigned i = 0; i < t->count; i++)
		pthread_join(t->thread[i], NULL);
	drain(t);
	free(t->thread);
	free(t);
}
