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
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "fcgi.h"

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
	struct client	*next, **link;	/* in one of the lists */
};

/* A list that its members can leave by themselves. */
struct list {
	struct client	*head, **tail;
};

struct threads {
	/* What epoll tells is a client, or the address of one of these: */
	struct listener	 listener;
	int		 wake;		/* eventfd: there is one to answer */
	int		 timer;		/* timerfd: there may be one overdue */
	int		 end;		/* eventfd: written once, never read */

	int		 epoll;
	struct handler	 handler;
	pthread_t	*thread;
	unsigned	 count;		/* of them that have started */
	unsigned	 spare_fds;
	bool		 stop;		/* atomic */

	pthread_mutex_t	 lock;		/* guards all below */
	struct list	 pending;	/* in order of overdue_at */
	struct list	 done;
	struct list	 kept;		/* connections between two requests */
	unsigned	 waiting;	/* put off, and not yet BUSY again */
	int64_t		 timer_at;	/* when the timer rings, or has rung */
};

static bool
stopping(const struct threads *t)
{
	return __atomic_load_n(&t->stop, __ATOMIC_RELAXED);
}

static void
rest(long ms)
{
	struct timespec ts = { .tv_nsec = ms * 1000000 };

	nanosleep(&ts, NULL);
}

static void
signal_fd(int fd)
{
	uint64_t one = 1;
	ssize_t n = write(fd, &one, sizeof(one));

	(void)n;		/* it cannot be full */
}

/* ---- lists, with the lock held ---- */

static void
list_add(struct list *l, struct client *c)
{
	if (l->head == NULL)
		l->tail = &l->head;
	c->next = NULL;
	c->link = l->tail;
	*l->tail = c;
	l->tail = &c->next;
}

static void
list_remove(struct list *l, struct client *c)
{
	*c->link = c->next;
	if (c->next != NULL)
		c->next->link = c->link;
	else
		l->tail = c->link;
}

/* ---- replies that are put off ---- */

/* With the lock held. All wait equally long: a timer that still runs rings
 * before the newest is overdue. */
static void
set_timer(struct threads *t, int64_t at, int64_t now)
{
	struct itimerspec when = { .it_value = { .tv_sec = at / 1000,
	    .tv_nsec = at % 1000 * 1000000 } };

	if (t->timer_at > now)
		return;
	t->timer_at = at;
	(void)timerfd_settime(t->timer, TFD_TIMER_ABSTIME, &when, NULL);
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
		list_remove(&t->pending, c);
	if (c->state == PENDING || c->state == LATE) {
		first = t->done.head == NULL;
		list_add(&t->done, c);
	}
	c->state = DONE;
	/* With the lock: without it, c may be answered and t gone by now. */
	if (first)
		signal_fd(t->wake);
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
		list_add(&t->pending, c);
		t->waiting++;
		set_timer(t, c->overdue_at, now);
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

	while ((c = t->pending.head) != NULL && c->overdue_at <= now) {
		list_remove(&t->pending, c);
		if (t->handler.withdraw(exchange_of(c)))
			return c;
		c->state = LATE;	/* on_done() is about to come */
	}
	if (c != NULL)
		set_timer(t, c->overdue_at, now);
	return NULL;
}

/* The next who can be answered, or NULL. */
static struct client *
next_ready(struct threads *t)
{
	struct client *c;
	bool more;

	pthread_mutex_lock(&t->lock);
	if ((c = t->done.head) != NULL)
		list_remove(&t->done, c);
	else if (t->pending.head != NULL)
		c = next_overdue(t);
	if (c != NULL)
		t->waiting--;
	more = t->done.head != NULL || t->pending.head != NULL;
	pthread_mutex_unlock(&t->lock);
	/* A peer that is not done with its request may take seconds. */
	if (c != NULL && more && (exchange_of(c)->slow ||
	    fcgi_may_wait(c->fcgi)))	/* let others help */
		signal_fd(t->wake);
	return c;
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
	struct epoll_event e = { .events = EPOLLIN | EPOLLONESHOT,
	    .data.ptr = c };
	int op = c->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

	c->watched = true;
	pthread_mutex_lock(&t->lock);
	list_add(&t->kept, c);
	/* From here on it may be another thread's. */
	if (epoll_ctl(t->epoll, op, fcgi_fd(c->fcgi), &e) == 0)
		c = NULL;
	else
		list_remove(&t->kept, c);
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
	if (kept && !stopping(t))
		keep(t, c);
	else
		client_close(c);
	return false;
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
			t->handler.finish(x);
		}
	} while (respond(t, c));
}

static void
serve_again(struct threads *t, struct client *c)
{
	pthread_mutex_lock(&t->lock);
	list_remove(&t->kept, c);
	pthread_mutex_unlock(&t->lock);
	serve(t, c);
}

static void
finish(struct threads *t, struct client *c)
{
	t->handler.finish(exchange_of(c));
	if (respond(t, c))
		serve(t, c);
}

/* Asks for the listener's next event, which wakes one thread. */
static int
watch_listener(struct threads *t, int op)
{
	struct epoll_event e = { .events = EPOLLIN | EPOLLRDHUP |
	    EPOLLONESHOT, .data.ptr = &t->listener };

	return epoll_ctl(t->epoll, op, t->listener.fd, &e);
}

/* Accepts a connection and serves it. False when there is none. */
static bool
accept_one(struct threads *t)
{
	bool scarce;
	int fd = listen_accept(&t->listener, t->spare_fds, &scarce);
	int e = errno;
	struct client *c;

	if (scarce)
		rest(REST_MS);
	(void)watch_listener(t, EPOLL_CTL_MOD);
	if (fd < 0)
		return e == ECONNABORTED;
	if ((c = calloc(1, sizeof(*c) + t->handler.size)) == NULL ||
	    (c->fcgi = fcgi_open(fd)) == NULL) {
		if (c == NULL)
			close(fd);
		free(c);
		return true;
	}
	c->threads = t;
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
	(void)accept_one(t);
}

/* ---- the threads ---- */

static void *
run(void *arg)
{
	struct threads *t = arg;
	struct epoll_event e;
	struct client *c;

	while (!stopping(t)) {
		if ((c = next_ready(t)) != NULL)
			finish(t, c);
		else if (epoll_wait(t->epoll, &e, 1, -1) != 1)
			continue;
		else if (e.data.ptr == &t->listener)
			on_listener(t, e.events);
		else if (e.data.ptr != &t->wake && e.data.ptr != &t->timer &&
		    e.data.ptr != &t->end)
			serve_again(t, e.data.ptr);
	}
	return NULL;
}

static int
watch(struct threads *t, int fd, uint32_t events, void *what)
{
	struct epoll_event e = { .events = events, .data.ptr = what };

	return fd < 0 ? -1 : epoll_ctl(t->epoll, EPOLL_CTL_ADD, fd, &e);
}

/* Edges for what needs to be told once; the end concerns every thread. */
static int
open_events(struct threads *t)
{
	int on = 1;

	t->epoll = epoll_create1(EPOLL_CLOEXEC);
	t->wake = eventfd(0, EFD_CLOEXEC);
	t->end = eventfd(0, EFD_CLOEXEC);
	t->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	if (t->epoll < 0 ||
	    watch(t, t->wake, EPOLLIN | EPOLLET, &t->wake) != 0 ||
	    watch(t, t->timer, EPOLLIN | EPOLLET, &t->timer) != 0 ||
	    watch(t, t->end, EPOLLIN, &t->end) != 0)
		return -1;
	/* Another process on an inherited socket may be quicker: nobody must
	 * wait in accept(). What is accepted inherits TCP_NODELAY. */
	(void)fcntl(t->listener.fd, F_SETFL, O_NONBLOCK);
	(void)setsockopt(t->listener.fd, IPPROTO_TCP, TCP_NODELAY, &on,
	    sizeof(on));
	return watch_listener(t, EPOLL_CTL_ADD);
}

static void
threads_free(struct threads *t)
{
	const int fds[] = { t->epoll, t->wake, t->timer, t->end };

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	pthread_mutex_destroy(&t->lock);
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
	t->listener = *l;
	t->handler = *handler;
	t->spare_fds = count + SPARE_FDS;
	t->thread = calloc(count, sizeof(*t->thread));
	if (open_events(t) != 0 || t->thread == NULL) {
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

/* A request that was sent on a kept connection before it is closed is still
 * served. */
static void
end_kept(struct threads *t)
{
	struct client *c;

	while ((c = t->kept.head) != NULL) {
		/* *c->link is this head: list_remove() takes c out of it.
		 * NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
		struct pollfd p = { .fd = fcgi_fd(c->fcgi),
		    .events = POLLIN };

		if (poll(&p, 1, 0) == 1) {
			serve_again(t, c);
		} else {
			list_remove(&t->kept, c);
			client_close(c);
		}
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
		left = t->waiting;
		pthread_mutex_unlock(&t->lock);
		if (left > 0)
			rest(1);
	} while (left > 0);
}

void
threads_stop(struct threads *t)
{
	__atomic_store_n(&t->stop, true, __ATOMIC_RELAXED);
	signal_fd(t->end);
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
