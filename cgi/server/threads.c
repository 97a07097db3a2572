#include "server/threads.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "server/connections.h"

/*
 * Every thread runs the same loop, threads_run():
 *
 * 1. connections_wait(): up to 16 connections on which a request came.
 * 2. thread_begin() looks at each: a request that is whole, one that is still
 *    coming in, one that may take long, or none.
 * 3. thread_answer() answers all that are whole at once: hooks that came
 *    together share a commit.
 * 4. thread_answer_incomplete() waits for the one that is still coming in,
 *    and answers it.
 * 5. thread_answer_alone() answers those that may take long, one by one.
 * 6. connections_return() takes each connection back.
 *
 * A peer that stops amid its request so holds one thread, and threads_watch()
 * cuts it off after REQUEST_MS. threads_stop() ends the loops; threads_finish()
 * then answers what is left.
 */

#define REQUEST_MS	10000	/* that one request may take to come in */
#define STOP_MS		2	/* between looks whether all are done */
/* Descriptors that are left free besides one a thread, for the spool: it needs
 * one for each hook that the database cannot take. */
#define SPARE_FDS	48
#define STACK_BYTES	(512 << 10)

struct thread {
	pthread_t	 id;
	struct threads	*all;
	/* Of the connections at hand: */
	struct connection *incomplete;	/* one still coming in, or NULL */
	struct connection *alone[REQUESTS_MOST]; /* that may take long */
	unsigned	 alone_count;
	pthread_mutex_t	 lock;		/* guards `fd` and `since` */
	int		 fd;		/* whose request is answered, or -1 */
	int64_t		 since;		/* ms, monotonic */
};

struct threads {
	struct connections *connections;
	struct handler	 handler;
	struct thread	*thread;	/* room for one more than asked for */
	unsigned	 count;		/* of them that have started */
	unsigned long	 rounds;	/* atomic: that all threads have done */
	unsigned long	 rounds_seen;	/* by threads_alive() */
};

/* ---- a thread and the connections that it has taken ---- */

static void
thread_answer(struct thread *t, struct connection *const *c, unsigned count)
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
		connections_return(t->all->connections, c[i], kept);
	}
}

/* Tells threads_watch() on which descriptor the thread may have to wait; -1:
 * on none. */
static void
thread_note_fd(struct thread *t, int fd)
{
	pthread_mutex_lock(&t->lock);
	t->fd = fd;
	t->since = clock_ms();
	pthread_mutex_unlock(&t->lock);
}

static void
thread_answer_alone(struct thread *t, struct connection *c)
{
	thread_note_fd(t, fcgi_fd(c->fcgi));
	thread_answer(t, &c, 1);
	thread_note_fd(t, -1);
}

/* True: all of the request is there, and it may be answered with others. */
static bool
thread_begin(struct thread *t, struct connection *c)
{
	struct threads *s = t->all;
	enum fcgi_front front = fcgi_peek(c->fcgi, false);
	struct request q = fcgi_request(c->fcgi);

	if (front == FCGI_NOTHING || front == FCGI_END)
		connections_return(s->connections, c, front == FCGI_NOTHING);
	else if (front != FCGI_WHOLE_REQUEST && t->incomplete == NULL)
		t->incomplete = c;
	else if (front != FCGI_WHOLE_REQUEST)
		/* Another thread can wait for it at the same time. */
		connections_put_back(s->connections, c);
	else if (!fcgi_read_head(c->fcgi))
		connections_return(s->connections, c, false);
	else if (s->handler.alone == NULL || s->handler.alone(&q))
		t->alone[t->alone_count++] = c;
	else
		return true;
	return false;
}

static void
thread_answer_incomplete(struct thread *t, struct connection *c)
{
	enum fcgi_front front = fcgi_peek(c->fcgi, true);

	if (front == FCGI_NOTHING || front == FCGI_END ||
	    !fcgi_read_head(c->fcgi))
		connections_return(t->all->connections, c,
		    front == FCGI_NOTHING);
	else
		thread_answer_alone(t, c);
}

/* Steps 2 to 6. */
static void
thread_serve(struct thread *t, struct connection *const *c, unsigned count)
{
	struct connection *together[REQUESTS_MOST];
	unsigned n = 0;

	t->incomplete = NULL;
	t->alone_count = 0;
	for (unsigned i = 0; i < count; i++)
		if (thread_begin(t, c[i]))
			together[n++] = c[i];
	thread_answer(t, together, n);
	if (t->incomplete != NULL)
		thread_answer_incomplete(t, t->incomplete);
	for (unsigned i = 0; i < t->alone_count; i++)
		thread_answer_alone(t, t->alone[i]);
}

/* ---- all threads ---- */

static void *
threads_run(void *arg)
{
	struct thread *t = arg;
	struct threads *s = t->all;
	struct connection *c[REQUESTS_MOST];

	while (!connections_stopping(s->connections)) {
		unsigned n = connections_wait(s->connections, c);

		thread_serve(t, c, n);
		__atomic_add_fetch(&s->rounds, 1, __ATOMIC_RELAXED);
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
threads_alive(struct threads *s)
{
	unsigned long rounds = __atomic_load_n(&s->rounds, __ATOMIC_RELAXED);
	bool alive = rounds != s->rounds_seen ||
	    connections_idle(s->connections);

	s->rounds_seen = rounds;
	return alive;
}

static int
threads_add(struct threads *s, const pthread_attr_t *attr, void *(*f)(void *))
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
threads_add_all(struct threads *s, unsigned count)
{
	pthread_attr_t attr;
	int rc = 0;

	pthread_attr_init(&attr);
	(void)pthread_attr_setstacksize(&attr, STACK_BYTES);
	while (s->count < count && rc == 0)
		rc = threads_add(s, &attr, threads_run);
	pthread_attr_destroy(&attr);
	errno = rc;
	return rc == 0 ? 0 : -1;
}

/* ---- the end ---- */

static void
threads_finish_waiting(struct thread *t)
{
	int64_t until = clock_ms() + FCGI_PEER_MS;
	struct connection *c;

	while ((c = connections_take(t->all->connections, until)) != NULL)
		thread_serve(t, &c, 1);
}

/* One more thread waits for all others, and does what they have left. */
static void *
threads_finish(void *arg)
{
	struct thread *t = arg;
	struct threads *s = t->all;
	struct connection *c;

	for (struct thread *other = s->thread; other != t; other++)
		pthread_join(other->id, NULL);
	threads_finish_waiting(t);
	while ((c = connections_accept_last(s->connections)) != NULL) {
		thread_serve(t, &c, 1);
		threads_finish_waiting(t);
	}
	return NULL;
}

/* A thread of its own does it, so that this one can cut off late peers. */
static void
threads_finish_watched(struct threads *s)
{
	struct thread *last = &s->thread[s->count];

	if (threads_add(s, NULL, threads_finish) != 0) {
		(void)threads_finish(last);
		return;
	}
	while (pthread_tryjoin_np(last->id, NULL) == EBUSY) {
		(void)poll(NULL, 0, STOP_MS);
		threads_watch(s);
	}
}

void
threads_stop(struct threads *s)
{
	if (s->connections != NULL) {
		connections_stop(s->connections);
		if (s->count > 0)
			threads_finish_watched(s);
		connections_close(s->connections);
	}
	for (unsigned i = 0; i < s->count; i++)
		pthread_mutex_destroy(&s->thread[i].lock);
	free(s->thread);
	free(s);
}

int
threads_start(struct threads **out, const struct listener *l, unsigned count,
    const struct handler *h)
{
	struct threads *s = calloc(1, sizeof(*s));

	*out = NULL;
	if (s == NULL)
		return -1;
	s->handler = *h;
	if (fcgi_start() != 0 ||
	    (s->thread = calloc(count + 1, sizeof(*s->thread))) == NULL ||
	    (s->connections = connections_open(l, count + SPARE_FDS)) ==
	    NULL || threads_add_all(s, count) != 0) {
		threads_stop(s);
		return -1;
	}
	*out = s;
	return 0;
}
