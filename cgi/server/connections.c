#include "server/connections.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

/*
 * The life of a connection:
 *
 * 1. connections_accept() takes it from the listener and hands it to the
 *    thread whose connections_wait() has seen it.
 * 2. The thread answers its request, or finds that there is none yet, and
 *    gives it back with connections_return().
 * 3. connections_watch() has epoll tell of it once: EPOLLONESHOT, so that one
 *    thread gets it. A connection that says nothing holds no thread.
 * 4. connections_wait() of any thread takes it out for its next request.
 *
 * An event's data is the connection, or `&listener`, or NULL: to stop.
 */

#define REST_MS		20	/* when descriptors are scarce, or worse */
#define SCARCE_RESTS	5	/* before one more is accepted all the same */

TAILQ_HEAD(connection_list, connection);

struct connections {
	int		 epoll;
	int		 stop_event;	/* an eventfd: readable when we stop */
	struct listener	 listener;
	unsigned	 spare_fds;
	bool		 stop;		/* atomic */
	unsigned	 idle;		/* atomic: threads that wait */
	pthread_mutex_t	 lock;		/* guards `waiting` */
	struct connection_list waiting;	/* for their (next) request */
};

static void
connections_rest(void)
{
	(void)poll(NULL, 0, REST_MS);
}

static void
connection_close(struct connection *c)
{
	fcgi_close(c->fcgi);
	free(c);
}

/* Has epoll tell of `fd` once, to one thread, with `data`. */
static int
connections_watch(struct connections *s, int fd, void *data, bool again)
{
	struct epoll_event e = { .events = EPOLLIN | EPOLLRDHUP |
	    EPOLLONESHOT, .data.ptr = data };

	return epoll_ctl(s->epoll, again ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd,
	    &e);
}

void
connections_put_back(struct connections *s, struct connection *c)
{
	bool again = c->watched;

	c->watched = true;
	pthread_mutex_lock(&s->lock);
	TAILQ_INSERT_TAIL(&s->waiting, c, entry);
	/* From here on it may be another thread's. */
	if (connections_watch(s, fcgi_fd(c->fcgi), c, again) == 0)
		c = NULL;
	else
		TAILQ_REMOVE(&s->waiting, c, entry);
	pthread_mutex_unlock(&s->lock);
	if (c != NULL)
		connection_close(c);
}

/* When we stop, a peer that keeps its connection may have sent its next
 * request already. So that none is lost unnoticed, a Unix socket is shut down
 * for reading first: what it took before is served, and who sends later is
 * told at once. A new connection is still waited for. */
void
connections_return(struct connections *s, struct connection *c, bool keep)
{
	if (keep && connections_stopping(s)) {
		if (c->served)
			(void)shutdown(fcgi_fd(c->fcgi), SHUT_RD);
		keep = !c->last;
		c->last = true;
	}
	if (keep)
		connections_put_back(s, c);
	else
		connection_close(c);
}

/* NULL when there is none to accept, or no memory for it. */
static struct connection *
connections_accept(struct connections *s)
{
	struct connection *c;
	bool scarce;
	int fd = listen_accept(&s->listener, s->spare_fds, &scarce);

	/* Meanwhile other threads finish requests and close connections. But
	 * those that are kept and say nothing are not closed: the wait has an
	 * end. */
	for (int i = 0; scarce && i < SCARCE_RESTS; i++) {
		connections_rest();
		scarce = listen_scarce(&s->listener, s->spare_fds);
	}
	/* The next one is for the next thread. */
	(void)connections_watch(s, s->listener.fd, &s->listener, true);
	if (fd < 0)
		return NULL;
	if ((c = calloc(1, sizeof(*c))) == NULL)
		close(fd);
	else if ((c->fcgi = fcgi_open(fd)) != NULL)
		return c;
	free(c);
	return NULL;
}

static struct connection *
connections_of_event(struct connections *s, const struct epoll_event *e)
{
	struct connection *c = e->data.ptr;

	if (e->data.ptr == &s->listener) {
		/* Another process that shares the socket may have shut it
		 * down: it is ready for ever then, and has nothing. */
		if (e->events & (EPOLLRDHUP | EPOLLHUP))
			connections_rest();
		return connections_accept(s);
	}
	if (c == NULL)
		return NULL;
	pthread_mutex_lock(&s->lock);
	TAILQ_REMOVE(&s->waiting, c, entry);
	pthread_mutex_unlock(&s->lock);
	return c;
}

unsigned
connections_wait(struct connections *s,
    struct connection *ready[REQUESTS_MOST])
{
	struct epoll_event e[REQUESTS_MOST];
	unsigned n = 0;
	int events;

	__atomic_add_fetch(&s->idle, 1, __ATOMIC_RELAXED);
	events = epoll_wait(s->epoll, e, REQUESTS_MOST, -1);
	__atomic_sub_fetch(&s->idle, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < events; i++)
		if ((ready[n] = connections_of_event(s, &e[i])) != NULL)
			n++;
	return n;
}

bool
connections_idle(const struct connections *s)
{
	return __atomic_load_n(&s->idle, __ATOMIC_RELAXED) > 0;
}

bool
connections_stopping(const struct connections *s)
{
	return __atomic_load_n(&s->stop, __ATOMIC_RELAXED);
}

void
connections_stop(struct connections *s)
{
	__atomic_store_n(&s->stop, true, __ATOMIC_RELAXED);
	(void)eventfd_write(s->stop_event, 1);
}

struct connection *
connections_take(struct connections *s, int64_t until)
{
	struct connection *c = TAILQ_FIRST(&s->waiting);
	struct pollfd p = { .events = POLLIN };
	int64_t left;

	if (c == NULL)
		return NULL;
	TAILQ_REMOVE(&s->waiting, c, entry);
	left = c->served ? 0 : until - clock_ms();
	p.fd = fcgi_fd(c->fcgi);
	(void)poll(&p, 1, left > 0 ? (int)left : 0);
	return c;
}

struct connection *
connections_accept_last(struct connections *s)
{
	return s->listener.inherited ? NULL : connections_accept(s);
}

void
connections_close(struct connections *s)
{
	if (s->epoll >= 0)
		close(s->epoll);
	if (s->stop_event >= 0)
		close(s->stop_event);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

static int
connections_start(struct connections *s)
{
	struct epoll_event e = { .events = EPOLLIN };
	int on = 1;

	if ((s->epoll = epoll_create1(EPOLL_CLOEXEC)) < 0 ||
	    (s->stop_event = eventfd(0, EFD_CLOEXEC)) < 0 ||
	    epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->stop_event, &e) != 0)
		return -1;
	/* Another process on an inherited socket may be quicker: nobody must
	 * wait in accept(). What is accepted inherits TCP_NODELAY. */
	(void)fcntl(s->listener.fd, F_SETFL, O_NONBLOCK);
	(void)setsockopt(s->listener.fd, IPPROTO_TCP, TCP_NODELAY, &on,
	    sizeof(on));
	return connections_watch(s, s->listener.fd, &s->listener, false);
}

struct connections *
connections_open(const struct listener *l, unsigned spare_fds)
{
	struct connections *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->epoll = s->stop_event = -1;
	s->listener = *l;
	s->spare_fds = spare_fds;
	TAILQ_INIT(&s->waiting);
	pthread_mutex_init(&s->lock, NULL);
	if (connections_start(s) == 0)
		return s;
	connections_close(s);
	return NULL;
}
