#include "server/threads.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "server/fcgi.h"

/*
 * Every thread does the same: it waits until connections come in, or kept ones
 * have a request; answers all of these that are whole in one go, then one that
 * is still coming in, and last what an operator asks; and puts the connections
 * back, or closes them. Who says nothing holds no thread; who stops in the
 * midst of a request holds one for a while, and is cut off then.
 */

#define REST_MS		20	/* when descriptors are scarce, or worse */
#define REQUEST_MS	10000	/* of one request, all in all */
#define SCARCE_RESTS	5	/* before one more is accepted all the same */
#define STOP_MS		2	/* between looks whether all are done */
/* The spool needs one for each hook that the database cannot take, and those
 * who have a connection already go first. */
#define SPARE_FDS	48	/* besides one a thread */
#define STACK_BYTES	(512 << 10)

/* A connection. */
struct client {
	struct fcgi		*fcgi;
	bool			 watched;	/* epoll knows it */
	bool			 served;	/* it has had a request */
	bool			 last;		/* its last request, we stop */
	TAILQ_ENTRY(client)	 entry;		/* among those that wait */
};
TAILQ_HEAD(clients, client);

struct thread {
	pthread_t	 id;
	struct threads	*all;
	struct client	*slow;		/* more is to come of it, or NULL */
	struct client	*later[REQUESTS_MOST];	/* to be answered alone */
	unsigned	 later_count;
	pthread_mutex_t	 lock;		/* guards both below */
	int		 fd;		/* of the one that is, or -1 */
	int64_t		 since;		/* ms, monotonic */
};

struct threads {
	int		 epoll;		/* clients, &listener, and NULL: stop */
	int		 end;		/* readable for ever, then */
	struct listener	 listener;
	struct handler	 handler;
	struct thread	*thread;	/* room for one more than asked for */
	unsigned	 count;		/* of them that have started */
	unsigned	 spare_fds;
	bool		 stop;		/* atomic */
	unsigned	 idle;		/* atomic: threads that wait for work */
	unsigned long	 steps, seen;	/* atomic: rounds that they have done;
					 * at the last look */
	pthread_mutex_t	 lock;		/* guards `waiting` */
	struct clients	 waiting;	/* for their (next) request */
};

static void
rest(int ms)
{
	(void)poll(NULL, 0, ms);
}

/* ---- connections ---- */

static void
client_close(struct client *c)
{
	fcgi_close(c->fcgi);
	free(c);
}

/* One event, for one thread. */
static int
ask(struct threads *s, int fd, void *what, bool again)
{
	struct epoll_event e = { .events = EPOLLIN | EPOLLRDHUP |
	    EPOLLONESHOT, .data.ptr = what };

	return epoll_ctl(s->epoll, again ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd,
	    &e);
}

/* Until there is something to read from it, which needs no thread. */
static void
put_back(struct threads *s, struct client *c)
{
	bool again = c->watched;

	c->watched = true;
	pthread_mutex_lock(&s->lock);
	TAILQ_INSERT_TAIL(&s->waiting, c, entry);
	/* From here on it may be another thread's. */
	if (ask(s, fcgi_fd(c->fcgi), c, again) == 0)
		c = NULL;
	else
		TAILQ_REMOVE(&s->waiting, c, entry);
	pthread_mutex_unlock(&s->lock);
	if (c != NULL)
		client_close(c);
}

static void
note(struct thread *t, int fd)
{
	pthread_mutex_lock(&t->lock);
	t->fd = fd;
	t->since = clock_ms();
	pthread_mutex_unlock(&t->lock);
}

/* Puts a connection back, or closes it. One that is kept when we stop may have
 * sent its next request already: from now on a Unix socket takes no more, so
 * that whoever sends then knows that it is lost, and what it took is served.
 * The first request of one that was accepted is still waited for. */
static void
let_go(struct threads *s, struct client *c, bool keep)
{
	if (keep && __atomic_load_n(&s->stop, __ATOMIC_RELAXED)) {
		if (c->served)
			(void)shutdown(fcgi_fd(c->fcgi), SHUT_RD);
		keep = !c->last;
		c->last = true;
	}
	if (keep)
		put_back(s, c);
	else
		client_close(c);
}

/* Answers what was begun on these connections. */
static void
answer(struct thread *t, struct client *const *c, unsigned count)
{
	const struct handler *h = &t->all->handler;
	struct request q[REQUESTS_MOST];
	struct reply r[REQUESTS_MOST];

	for (unsigned i = 0; i < count; i++)
		q[i] = fcgi_request(c[i]->fcgi);
	if (count > 0)
		h->answer(h->arg, q, r, count);
	for (unsigned i = 0; i < count; i++) {
		bool kept = fcgi_reply(c[i]->fcgi, &r[i]);

		c[i]->served = true;
		text_release(&r[i].body);
		let_go(t->all, c[i], kept);
	}
}

static void
answer_one(struct thread *t, struct client *c)
{
	note(t, fcgi_fd(c->fcgi));
	answer(t, &c, 1);
	note(t, -1);
}

/* Begins with what stands at the front of a connection. True: it is a request
 * that can be answered together with others, since all of it is there. */
static bool
begin(struct thread *t, struct client *c)
{
	struct threads *s = t->all;
	enum fcgi_front front = fcgi_look(c->fcgi, false);
	struct request q = fcgi_request(c->fcgi);

	if (front == FCGI_NOTHING || front == FCGI_OVER)
		let_go(s, c, front == FCGI_NOTHING);
	else if (front != FCGI_WHOLE_REQUEST && t->slow == NULL)
		t->slow = c;
	else if (front != FCGI_WHOLE_REQUEST)
		put_back(s, c);		/* the next thread need not wait */
	else if (!fcgi_next(c->fcgi))
		client_close(c);
	else if (s->handler.alone == NULL || s->handler.alone(&q))
		t->later[t->later_count++] = c;
	else
		return true;
	return false;
}

static void
answer_slow(struct thread *t, struct client *c)
{
	enum fcgi_front front = fcgi_look(c->fcgi, true);

	if (front == FCGI_NOTHING || front == FCGI_OVER)
		let_go(t->all, c, front == FCGI_NOTHING);
	else if (fcgi_next(c->fcgi))
		answer_one(t, c);
	else
		client_close(c);
}

/* What came on these connections: hooks in one go, with a commit for all of
 * them; then what may take its time, a hook first. */
static void
serve(struct thread *t, struct client *const *c, unsigned count)
{
	struct client *together[REQUESTS_MOST];
	unsigned n = 0;

	t->slow = NULL;
	t->later_count = 0;
	for (unsigned i = 0; i < count; i++)
		if (begin(t, c[i]))
			together[n++] = c[i];
	answer(t, together, n);
	if (t->slow != NULL)
		answer_slow(t, t->slow);
	for (unsigned i = 0; i < t->later_count; i++)
		answer_one(t, t->later[i]);
}

/* Accepts a connection. NULL when there is none, or no memory for it. */
static struct client *
accept_one(struct threads *s)
{
	struct client *c;
	bool scarce;
	int fd = listen_accept(&s->listener, s->spare_fds, &scarce);

	/* Connections that others are at work on are closed meanwhile; those
	 * that say nothing are not, so that this ends. */
	for (int i = 0; scarce && i < SCARCE_RESTS; i++) {
		rest(REST_MS);
		scarce = listen_scarce(&s->listener, s->spare_fds);
	}
	/* The next one is for the next thread. */
	(void)ask(s, s->listener.fd, &s->listener, true);
	if (fd < 0)
		return NULL;
	if ((c = calloc(1, sizeof(*c))) == NULL)
		close(fd);
	else if ((c->fcgi = fcgi_open(fd)) != NULL)
		return c;
	free(c);
	return NULL;
}

/* ---- the threads ---- */

/* The connection that an event is about. */
static struct client *
client_of(struct threads *s, const struct epoll_event *e)
{
	struct client *c = e->data.ptr;

	if (e->data.ptr == &s->listener) {
		/* One that another of its owners has shut down is ready for
		 * ever, and has nothing. */
		if (e->events & (EPOLLRDHUP | EPOLLHUP))
			rest(REST_MS);
		return accept_one(s);
	}
	pthread_mutex_lock(&s->lock);
	TAILQ_REMOVE(&s->waiting, c, entry);
	pthread_mutex_unlock(&s->lock);
	return c;
}

static void *
run(void *arg)
{
	struct thread *t = arg;
	struct threads *s = t->all;
	struct epoll_event e[REQUESTS_MOST];
	struct client *c[REQUESTS_MOST];

	while (!__atomic_load_n(&s->stop, __ATOMIC_RELAXED)) {
		unsigned n = 0;
		int events;

		__atomic_add_fetch(&s->idle, 1, __ATOMIC_RELAXED);
		events = epoll_wait(s->epoll, e, REQUESTS_MOST, -1);
		__atomic_sub_fetch(&s->idle, 1, __ATOMIC_RELAXED);
		for (int i = 0; i < events; i++)
			if (e[i].data.ptr != NULL &&
			    (c[n] = client_of(s, &e[i])) != NULL)
				n++;
		serve(t, c, n);
		__atomic_add_fetch(&s->steps, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

void
threads_watch(struct threads *s)
{
	int64_t late = clock_ms() - REQUEST_MS;

	for (unsigned i = 0; i < s->count; i++) {
		struct thread *t = &s->thread[i];

		pthread_mutex_lock(&t->lock);
		if (t->fd >= 0 && t->since < late)
			(void)shutdown(t->fd, SHUT_RD);
		pthread_mutex_unlock(&t->lock);
	}
}

bool
threads_move(struct threads *s)
{
	unsigned long steps = __atomic_load_n(&s->steps, __ATOMIC_RELAXED);
	bool moves = steps != s->seen ||
	    __atomic_load_n(&s->idle, __ATOMIC_RELAXED) > 0;

	s->seen = steps;
	return moves;
}

static int
open_all(struct threads *s)
{
	struct epoll_event e = { .events = EPOLLIN };
	int on = 1;

	if (fcgi_start() != 0 ||
	    (s->epoll = epoll_create1(EPOLL_CLOEXEC)) < 0 ||
	    (s->end = eventfd(0, EFD_CLOEXEC)) < 0 ||
	    epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->end, &e) != 0)
		return -1;
	/* Another process on an inherited socket may be quicker: nobody must
	 * wait in accept(). What is accepted inherits TCP_NODELAY. */
	(void)fcntl(s->listener.fd, F_SETFL, O_NONBLOCK);
	(void)setsockopt(s->listener.fd, IPPROTO_TCP, TCP_NODELAY, &on,
	    sizeof(on));
	return ask(s, s->listener.fd, &s->listener, false);
}

static int
start_one(struct threads *s, const pthread_attr_t *attr, void *(*f)(void *))
{
	struct thread *t = &s->thread[s->count];
	int rc;

	*t = (struct thread){ .all = s, .fd = -1 };
	pthread_mutex_init(&t->lock, NULL);
	rc = pthread_create(&t->id, attr, f, t);
	s->count += rc == 0;
	return rc;
}

static int
start_all(struct threads *s, unsigned count)
{
	pthread_attr_t attr;
	int rc = 0;

	pthread_attr_init(&attr);
	(void)pthread_attr_setstacksize(&attr, STACK_BYTES);
	while (s->count < count && rc == 0)
		rc = start_one(s, &attr, run);
	pthread_attr_destroy(&attr);
	errno = rc;
	return rc == 0 ? 0 : -1;
}

/* What was sent on a kept connection before it is closed is still served, and
 * what comes first on a new one, if it comes soon. */
static void
end_waiting(struct thread *t)
{
	int64_t until = clock_ms() + FCGI_PEER_MS;
	struct client *c;

	while ((c = TAILQ_FIRST(&t->all->waiting)) != NULL) {
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): another c */
		struct pollfd p = { .fd = fcgi_fd(c->fcgi),
		    .events = POLLIN };
		int64_t left = c->served ? 0 : until - clock_ms();

		TAILQ_REMOVE(&t->all->waiting, c, entry);
		(void)poll(&p, 1, left > 0 ? (int)left : 0);
		serve(t, &c, 1);
	}
}

static void
threads_free(struct threads *s)
{
	for (unsigned i = 0; i < s->count; i++)
		pthread_mutex_destroy(&s->thread[i].lock);
	free(s->thread);
	if (s->epoll >= 0)
		close(s->epoll);
	if (s->end >= 0)
		close(s->end);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

/* The last thread waits for all others, and does what they have left. */
static void *
end(void *arg)
{
	struct thread *t = arg;
	struct threads *s = t->all;
	struct client *c;

	for (struct thread *other = s->thread; other != t; other++)
		pthread_join(other->id, NULL);
	end_waiting(t);
	/* What still waits on a socket that nobody will serve after us. */
	while (!s->listener.inherited && (c = accept_one(s)) != NULL) {
		serve(t, &c, 1);
		end_waiting(t);
	}
	return NULL;
}

static void
stop_all(struct threads *s)
{
	struct thread *last = &s->thread[s->count];

	if (start_one(s, NULL, end) != 0) {
		(void)end(last);
		return;
	}
	/* Meanwhile, too, who takes too long is cut off. */
	while (pthread_tryjoin_np(last->id, NULL) == EBUSY) {
		rest(STOP_MS);
		threads_watch(s);
	}
}

void
threads_stop(struct threads *s)
{
	__atomic_store_n(&s->stop, true, __ATOMIC_RELAXED);
	if (s->end >= 0)
		(void)eventfd_write(s->end, 1);
	if (s->count > 0)
		stop_all(s);
	threads_free(s);
}

int
threads_start(struct threads **out, const struct listener *l, unsigned count,
    const struct handler *h)
{
	struct threads *s = calloc(1, sizeof(*s));

	*out = NULL;
	if (s == NULL)
		return -1;
	s->epoll = s->end = -1;
	s->listener = *l;
	s->handler = *h;
	s->spare_fds = count + SPARE_FDS;
	TAILQ_INIT(&s->waiting);
	pthread_mutex_init(&s->lock, NULL);
	s->thread = calloc(count + 1, sizeof(*s->thread));
	if (s->thread == NULL || open_all(s) != 0 || start_all(s, count) != 0) {
		threads_stop(s);
		return -1;
	}
	*out = s;
	return 0;
}
