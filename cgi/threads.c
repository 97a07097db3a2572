#include "threads.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "events.h"
#include "fcgi.h"
#include "turns.h"

#define REST_MS		20	/* when descriptors are scarce, or worse */
/* The spool needs one for each hook that the database cannot take, and those
 * who have a connection already go first. */
#define SPARE_FDS	48	/* besides one a thread */

/* A connection; the exchange that is on its way on it stands behind it. */
struct client {
	_Alignas(max_align_t)
	struct threads	*threads;
	struct fcgi	*fcgi;
	bool		 watched;	/* epoll knows it */
	/* Guarded by the lock: */
	enum {
		BUSY,			/* a thread is at work on it */
		PENDING,		/* its reply is put off */
		LATE,			/* too late to withdraw that */
		DONE			/* its reply can be finished */
	}		 state;
	int64_t		 overdue_at;	/* ms, fcgi_now() */
	TAILQ_ENTRY(client) entry;	/* in one of the lists */
};
TAILQ_HEAD(list, client);

struct threads {
	struct events	 events;	/* of clients, or of &listener */
	struct listener	 listener;
	struct handler	 handler;
	pthread_t	*thread;
	unsigned	 count;		/* of them that have started */
	unsigned	 spare_fds;
	struct turns	 turns;
	bool		 stop;		/* atomic */
	unsigned	 idle;		/* atomic: of them, with no event */
	unsigned long	 steps;		/* atomic: that they have begun */
	unsigned long	 seen;		/* of these, by threads_move() */

	pthread_mutex_t	 lock;		/* guards all below */
	struct list	 pending;	/* in order of overdue_at */
	struct list	 done;
	struct list	 kept;		/* connections between two requests */
	unsigned	 waiting;	/* put off, and not yet BUSY again */
	unsigned	 signals;	/* about to be given */
	int64_t		 alarm_at;	/* when the alarm wakes one, or has */
};

static void
rest(int ms)
{
	(void)poll(NULL, 0, ms);
}

/* ---- replies that are put off ---- */

/* With the lock held. All wait equally long: an alarm that still runs comes
 * before the newest is overdue. */
static void
set_alarm(struct threads *t, int64_t at, int64_t now)
{
	if (t->alarm_at > now)
		return;
	t->alarm_at = at;
	events_wake_at(&t->events, at);
}

static struct exchange *
exchange_of(struct client *c)
{
	return (struct exchange *)(void *)(c + 1);
}

/* On the handler's thread. The first of a batch wakes a thread, which sees to
 * those that follow. */
static void
on_done(struct exchange *x)
{
	struct client *c = (struct client *)(void *)x - 1;
	struct threads *t = c->threads;
	bool first = false;

	pthread_mutex_lock(&t->lock);
	if (c->state == PENDING)
		TAILQ_REMOVE(&t->pending, c, entry);
	if (c->state == PENDING || c->state == LATE) {
		first = TAILQ_FIRST(&t->done) == NULL;
		TAILQ_INSERT_TAIL(&t->done, c, entry);
	}
	c->state = DONE;
	t->signals += first;
	pthread_mutex_unlock(&t->lock);
	if (!first)
		return;
	/* Without the lock, which the other one takes at once. */
	events_wake(&t->events);
	pthread_mutex_lock(&t->lock);
	t->signals--;
	pthread_mutex_unlock(&t->lock);
}

/* False: it is done already, and c is still the caller's. */
static bool
await(struct threads *t, struct client *c)
{
	int64_t now = fcgi_now();
	bool wait;

	pthread_mutex_lock(&t->lock);
	wait = c->state != DONE;
	if (wait) {
		c->state = PENDING;
		c->overdue_at = now + t->handler.patience;
		TAILQ_INSERT_TAIL(&t->pending, c, entry);
		t->waiting++;
		set_alarm(t, c->overdue_at, now);
	}
	pthread_mutex_unlock(&t->lock);
	return wait;
}

/* With the lock held: the next who has waited for too long, or NULL. It is
 * withdrawn. */
static struct client *
next_overdue(struct threads *t)
{
	int64_t now = fcgi_now();
	struct client *c;

	while ((c = TAILQ_FIRST(&t->pending)) != NULL && c->overdue_at <= now) {
		TAILQ_REMOVE(&t->pending, c, entry);
		if (t->handler.withdraw(exchange_of(c)))
			return c;
		c->state = LATE;	/* on_done() is about to come */
	}
	if (c != NULL)
		set_alarm(t, c->overdue_at, now);
	return NULL;
}

/* The next who can be answered, or NULL. */
static struct client *
next_ready(struct threads *t)
{
	struct client *c;

	pthread_mutex_lock(&t->lock);
	if ((c = TAILQ_FIRST(&t->done)) != NULL)
		TAILQ_REMOVE(&t->done, c, entry);
	else if (TAILQ_FIRST(&t->pending) != NULL)
		c = next_overdue(t);
	if (c != NULL)
		t->waiting--;
	pthread_mutex_unlock(&t->lock);
	return c;
}

/* A thread is about to wait for a disk or a peer, which may take seconds, or
 * has waited: others see to what it would have done. */
static void
on_wait(void *arg, bool begins)
{
	struct threads *t = arg;
	bool more;

	if (!begins) {
		turns_take(&t->turns);
		return;
	}
	turns_leave(&t->turns);
	pthread_mutex_lock(&t->lock);
	more = !TAILQ_EMPTY(&t->done) || !TAILQ_EMPTY(&t->pending);
	pthread_mutex_unlock(&t->lock);
	if (more)
		events_wake(&t->events);
}

/* ---- connections ---- */

static void
client_close(struct client *c)
{
	fcgi_close(c->fcgi);
	free(c);
}

/* Waits for the next request on it without a thread. */
static void
keep(struct threads *t, struct client *c)
{
	bool again = c->watched;

	c->watched = true;
	pthread_mutex_lock(&t->lock);
	TAILQ_INSERT_TAIL(&t->kept, c, entry);
	/* From here on it may be another thread's. */
	if (events_ask(&t->events, fcgi_fd(c->fcgi), EPOLLIN, c, again) == 0)
		c = NULL;
	else
		TAILQ_REMOVE(&t->kept, c, entry);
	pthread_mutex_unlock(&t->lock);
	if (c != NULL)
		client_close(c);
}

/* True: the next request is there already. */
static bool
respond(struct threads *t, struct client *c)
{
	bool kept = fcgi_reply(c->fcgi, &exchange_of(c)->reply);

	t->handler.release(exchange_of(c));
	if (kept && fcgi_has_more(c->fcgi))
		return true;
	if (kept && !__atomic_load_n(&t->stop, __ATOMIC_RELAXED))
		keep(t, c);
	else
		client_close(c);
	return false;
}

static void
make_reply(struct threads *t, struct client *c)
{
	struct exchange *x = exchange_of(c);

	if (x->slow)
		on_wait(t, true);
	t->handler.finish(x);
	if (x->slow)
		on_wait(t, false);
}

static void
serve(struct threads *t, struct client *c)
{
	struct request q = fcgi_request(c->fcgi);
	struct exchange *x = exchange_of(c);

	do {
		if (!fcgi_next(c->fcgi)) {
			client_close(c);
			return;
		}
		c->state = BUSY;
		x->done = on_done;
		if (!t->handler.begin(x, t->handler.arg, &q)) {
			if (await(t, c))
				return;
			make_reply(t, c);
		}
	} while (respond(t, c));
}

static void
serve_again(struct threads *t, struct client *c)
{
	pthread_mutex_lock(&t->lock);
	TAILQ_REMOVE(&t->kept, c, entry);
	pthread_mutex_unlock(&t->lock);
	serve(t, c);
}

static void
finish(struct threads *t, struct client *c)
{
	make_reply(t, c);
	if (respond(t, c))
		serve(t, c);
}

/* Asks for the listener's next event, which wakes one thread. */
static int
ask_listener(struct threads *t, bool again)
{
	return events_ask(&t->events, t->listener.fd, EPOLLIN | EPOLLRDHUP,
	    &t->listener, again);
}

/* Whether there are kept connections: each has its turn before the listener
 * has another one. */
static bool
keeps_some(struct threads *t)
{
	bool some;

	pthread_mutex_lock(&t->lock);
	some = !TAILQ_EMPTY(&t->kept);
	pthread_mutex_unlock(&t->lock);
	return some;
}

/* Accepts a connection and serves it, when its turn has come. False when there
 * is none. */
static bool
accept_one(struct threads *t)
{
	bool scarce;
	int fd = listen_accept(&t->listener, t->spare_fds, &scarce);
	int e = errno;
	struct client *c;

	if (scarce)
		rest(REST_MS);
	(void)ask_listener(t, true);
	if (fd < 0)
		return e == ECONNABORTED;
	if ((c = calloc(1, sizeof(*c) + t->handler.size)) == NULL ||
	    (c->fcgi = fcgi_open(fd, on_wait, t)) == NULL) {
		if (c == NULL)
			close(fd);
		free(c);
		return true;
	}
	c->threads = t;
	if (keeps_some(t))
		keep(t, c);
	else
		serve(t, c);
	return true;
}

/* One that another of its owners has shut down is ready for ever, and has
 * nothing. */
static void
on_listener(struct threads *t, uint32_t events)
{
	if (events & (EPOLLRDHUP | EPOLLHUP))
		rest(REST_MS);
	while (accept_one(t) && keeps_some(t))
		;
}

/* ---- the threads ---- */

bool
threads_move(struct threads *t)
{
	unsigned long before = t->seen;

	t->seen = __atomic_load_n(&t->steps, __ATOMIC_RELAXED);
	return t->seen != before ||
	    __atomic_load_n(&t->idle, __ATOMIC_RELAXED) > 0;
}

static void *
run(void *arg)
{
	struct threads *t = arg;
	struct client *c;
	uint32_t how;
	void *what;

	turns_take(&t->turns);
	while (turns_keep(&t->turns)) {
		__atomic_add_fetch(&t->steps, 1, __ATOMIC_RELAXED);
		if ((c = next_ready(t)) != NULL) {
			finish(t, c);
			continue;
		}
		__atomic_add_fetch(&t->idle, 1, __ATOMIC_RELAXED);
		what = events_wait(&t->events, &how);
		__atomic_sub_fetch(&t->idle, 1, __ATOMIC_RELAXED);
		if (what == &t->listener)
			on_listener(t, how);
		else if (what != NULL)
			serve_again(t, what);
	}
	return NULL;
}

static int
open_listener(struct threads *t)
{
	int on = 1;

	/* Another process on an inherited socket may be quicker: nobody must
	 * wait in accept(). What is accepted inherits TCP_NODELAY. */
	(void)fcntl(t->listener.fd, F_SETFL, O_NONBLOCK);
	(void)setsockopt(t->listener.fd, IPPROTO_TCP, TCP_NODELAY, &on,
	    sizeof(on));
	return ask_listener(t, false);
}

static void
threads_free(struct threads *t)
{
	events_close(&t->events);
	pthread_mutex_destroy(&t->lock);
	turns_close(&t->turns);
	free(t->thread);
	free(t);
}

int
threads_start(struct threads **out, const struct listener *l, unsigned count,
    const struct handler *handler)
{
	struct threads *t = calloc(1, sizeof(*t));

	*out = NULL;
	if (t == NULL)
		return -1;
	pthread_mutex_init(&t->lock, NULL);
	turns_open(&t->turns, handler->waits ? count : 0);
	TAILQ_INIT(&t->pending);
	TAILQ_INIT(&t->done);
	TAILQ_INIT(&t->kept);
	t->listener = *l;
	t->handler = *handler;
	t->spare_fds = count + SPARE_FDS;
	t->thread = calloc(count, sizeof(*t->thread));
	if (events_open(&t->events) != 0 || open_listener(t) != 0 ||
	    t->thread == NULL) {
		threads_free(t);
		return -1;
	}
	for (; t->count < count; t->count++)
		if (pthread_create(&t->thread[t->count], NULL, run, t) != 0) {
			threads_stop(t);
			return -1;
		}
	*out = t;
	return 0;
}

/* What was sent on a kept connection before it is closed is still served. */
static void
end_kept(struct threads *t)
{
	struct client *c;

	while ((c = TAILQ_FIRST(&t->kept)) != NULL) {
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): another c */
		struct pollfd p = { .fd = fcgi_fd(c->fcgi),
		    .events = POLLIN };

		TAILQ_REMOVE(&t->kept, c, entry);
		if (poll(&p, 1, 0) == 1)
			serve(t, c);
		else
			client_close(c);
	}
}

static void
end_waiting(struct threads *t)
{
	struct client *c;
	unsigned left;

	do {
		while ((c = next_ready(t)) != NULL)
			finish(t, c);
		pthread_mutex_lock(&t->lock);
		left = t->waiting + t->signals;
		pthread_mutex_unlock(&t->lock);
		if (left > 0)
			rest(1);
	} while (left > 0);
}

void
threads_stop(struct threads *t)
{
	__atomic_store_n(&t->stop, true, __ATOMIC_RELAXED);
	turns_end(&t->turns);
	events_end(&t->events);
	for (unsigned i = 0; i < t->count; i++)
		pthread_join(t->thread[i], NULL);
	end_kept(t);
	/* What still waits on a socket that nobody will serve after us. */
	if (!t->listener.inherited)
		while (accept_one(t))
			;
	end_waiting(t);
	threads_free(t);
}
