#include "events.h"

#include <stddef.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

/* Edges for what needs to be told once; the end concerns every thread. */
int
events_open(struct events *e)
{
	struct epoll_event once = { .events = EPOLLIN | EPOLLET };
	struct epoll_event ever = { .events = EPOLLIN };

	e->epoll = epoll_create1(EPOLL_CLOEXEC);
	e->wake = eventfd(0, EFD_CLOEXEC);
	e->end = eventfd(0, EFD_CLOEXEC);
	e->alarm = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	return epoll_ctl(e->epoll, EPOLL_CTL_ADD, e->wake, &once) == 0 &&
	    epoll_ctl(e->epoll, EPOLL_CTL_ADD, e->alarm, &once) == 0 &&
	    epoll_ctl(e->epoll, EPOLL_CTL_ADD, e->end, &ever) == 0 ? 0 : -1;
}

void
events_close(struct events *e)
{
	const int fds[] = { e->epoll, e->wake, e->alarm, e->end };

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

int
events_ask(struct events *e, int fd, uint32_t how, void *what, bool again)
{
	struct epoll_event event = { .events = how | EPOLLONESHOT,
	    .data.ptr = what };

	return epoll_ctl(e->epoll, again ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd,
	    &event);
}

void *
events_wait(struct events *e, uint32_t *how)
{
	struct epoll_event event;

	if (epoll_wait(e->epoll, &event, 1, -1) != 1)
		return NULL;
	*how = event.events;
	return event.data.ptr;
}

void
events_wake(struct events *e)
{
	(void)eventfd_write(e->wake, 1);	/* it cannot be full */
}

void
events_wake_at(struct events *e, int64_t at)
{
	struct itimerspec when = { .it_value = { .tv_sec = at / 1000,
	    .tv_nsec = at % 1000 * 1000000 } };

	(void)timerfd_settime(e->alarm, TFD_TIMER_ABSTIME, &when, NULL);
}

void
events_end(struct events *e)
{
	(void)eventfd_write(e->end, 1);
}
