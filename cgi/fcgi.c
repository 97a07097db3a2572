#include "fcgi.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <fcgiapp.h>

/* How long a peer may be silent in the middle of a request. nginx has the
 * whole body before it connects, and Sentry has hung up by then. */
#define PEER_SECONDS	2
#define WAKE_MS		10	/* between nudges while stopping */
#define REST_MS		20	/* when accept() is out of descriptors */

struct fcgi {
	struct listener	 listener;
	struct service	*service;
	pthread_t	*threads;
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

static const char *
fcgi_param(void *arg, const char *name)
{
	return FCGX_GetParam(name, ((FCGX_Request *)arg)->envp);
}

static size_t
fcgi_read(void *arg, char *buf, size_t n)
{
	size_t got = 0;
	int rc;

	/* It may give less than was asked for; 0 is the end. */
	while (got < n) {
		int ask = n - got > INT_MAX ? INT_MAX : (int)(n - got);

		rc = FCGX_GetStr(buf + got, ask, ((FCGX_Request *)arg)->in);
		if (rc <= 0)
			break;
		got += (size_t)rc;
	}
	return got;
}

static void
respond(struct service *service, FCGX_Request *r)
{
	struct request q = { fcgi_param, fcgi_read, r };
	struct reply reply;
	struct text t = { 0 };

	answer(service, &q, &reply);
	reply_write(&t, &reply);
	if (!t.broken && !reply.body.broken && t.len <= INT_MAX)
		FCGX_PutStr(t.at, (int)t.len, r->out);
	text_release(&t);
	text_release(&reply.body);
	FCGX_Finish_r(r);
}

/* libfcgi would accept by itself, but sets no time-outs on what it accepts
 * and cannot be woken without shutting the socket down, which belongs to
 * others too. So it is handed a connection: with ipcFd set and the connection
 * marked as one to keep, FCGX_Accept_r() reads the request from it, and says
 * what the request itself says about keeping. With no listening socket it
 * fails instead of accepting another one when the request is malformed. */
static void
serve(struct fcgi *f, int fd)
{
	struct timeval limit = { .tv_sec = PEER_SECONDS };
	FCGX_Request r;
	int on = 1;

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	FCGX_InitRequest(&r, -1, 0);
	do {
		if (r.ipcFd < 0) {
			r.ipcFd = fd;
			fd = -1;
			r.keepConnection = 1;
		}
		if (FCGX_Accept_r(&r) != 0)
			break;
		respond(f->service, &r);
		/* A peer that wants to keep the connection may have the next
		 * request in it, but not while we stop. */
	} while (r.ipcFd >= 0 && !__atomic_load_n(&f->stop,
	    __ATOMIC_RELAXED));
	FCGX_Free(&r, r.ipcFd >= 0);
}

/* The only place where a nudge gets through: in the middle of a request it
 * would look like a peer that went away. */
static int
accept_next(struct fcgi *f)
{
	sigset_t nudge;
	int fd, e;

	sigemptyset(&nudge);
	sigaddset(&nudge, SIGUSR1);
	pthread_sigmask(SIG_UNBLOCK, &nudge, NULL);
	fd = accept4(f->listener.fd, NULL, NULL, SOCK_CLOEXEC);
	e = errno;
	pthread_sigmask(SIG_BLOCK, &nudge, NULL);
	errno = e;
	return fd;
}

static void *
run(void *arg)
{
	struct fcgi *f = arg;

	while (!__atomic_load_n(&f->stop, __ATOMIC_RELAXED)) {
		int fd = accept_next(f);

		if (fd >= 0)
			serve(f, fd);
		else if (errno == EMFILE || errno == ENFILE ||
		    errno == ENOMEM || errno == ENOBUFS)
			rest(REST_MS);
	}
	__atomic_sub_fetch(&f->running, 1, __ATOMIC_RELEASE);
	return NULL;
}

/* Only there so that a signal interrupts accept(). */
static void
nudged(int sig)
{
	(void)sig;
}

int
fcgi_start(struct fcgi **out, const struct listener *l, unsigned threads,
    struct service *service)
{
	struct sigaction nudge = { .sa_handler = nudged };
	struct fcgi *f = calloc(1, sizeof(*f));

	*out = NULL;
	if (f == NULL || FCGX_Init() != 0 ||
	    sigaction(SIGUSR1, &nudge, NULL) != 0 ||
	    (f->threads = calloc(threads, sizeof(*f->threads))) == NULL) {
		free(f);
		return -1;
	}
	f->listener = *l;
	f->service = service;
	while (f->count < threads) {
		__atomic_add_fetch(&f->running, 1, __ATOMIC_RELAXED);
		if (pthread_create(&f->threads[f->count], NULL, run, f) != 0) {
			__atomic_sub_fetch(&f->running, 1, __ATOMIC_RELAXED);
			fcgi_stop(f);
			return -1;
		}
		f->count++;
	}
	*out = f;
	return 0;
}

/* What still waits on a socket that nobody will serve after us. */
static void
drain(struct fcgi *f)
{
	int fd;

	if (f->listener.inherited)
		return;
	(void)fcntl(f->listener.fd, F_SETFL, O_NONBLOCK);
	while ((fd = accept4(f->listener.fd, NULL, NULL, SOCK_CLOEXEC)) >= 0)
		serve(f, fd);
}

void
fcgi_stop(struct fcgi *f)
{
	__atomic_store_n(&f->stop, true, __ATOMIC_RELAXED);
	/* A nudge that comes just before accept() is lost: so again. */
	while (__atomic_load_n(&f->running, __ATOMIC_ACQUIRE) > 0) {
		for (unsigned i = 0; i < f->count; i++)
			(void)pthread_kill(f->threads[i], SIGUSR1);
		rest(WAKE_MS);
	}
	for (unsigned i = 0; i < f->count; i++)
		pthread_join(f->threads[i], NULL);
	drain(f);
	free(f->threads);
	free(f);
}

/* ---- plain CGI ---- */

static const char *
cgi_param(void *arg, const char *name)
{
	(void)arg;
	return getenv(name);
}

static size_t
cgi_read(void *arg, char *buf, size_t n)
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

int
cgi_once(struct service *service)
{
	struct request q = { cgi_param, cgi_read, NULL };
	struct reply reply;
	struct text t = { 0 };
	size_t sent = 0;

	answer(service, &q, &reply);
	reply_write(&t, &reply);
	while (!t.broken && sent < t.len) {
		ssize_t n = write(STDOUT_FILENO, t.at + sent, t.len - sent);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		sent += (size_t)n;
	}
	sent = t.broken ? 1 : t.len - sent;
	text_release(&t);
	text_release(&reply.body);
	return sent == 0 ? 0 : -1;
}
