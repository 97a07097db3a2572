/* What threads sleep for: an epoll set, with a wake-up, an alarm and an end. */
#ifndef EVENTS_H
#define EVENTS_H

#include <stdbool.h>
#include <stdint.h>

struct events {
	int	epoll;
	int	wake;		/* eventfd: there is something to look at */
	int	alarm;		/* timerfd: the same, by now */
	int	end;		/* eventfd: written once, never read */
};

/* 0, or -1; events_close() in either case. */
int	events_open(struct events *);
void	events_close(struct events *);

/* Asks once, as EPOLL* say, for a descriptor: `what`, which is not NULL, comes
 * of one events_wait(). `again` says that it has been asked for before. */
int	events_ask(struct events *, int fd, uint32_t how, void *what,
	    bool again);

/* Sleeps: what has come with *how it is, or NULL to look around. */
void	*events_wait(struct events *, uint32_t *how);

/* Wakes one thread: now, at a time (ms, monotonic); all of them, for ever. */
void	events_wake(struct events *);
void	events_wake_at(struct events *, int64_t at);
void	events_end(struct events *);

#endif
