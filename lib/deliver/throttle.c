#include "deliver/throttle.h"

#include <time.h>

#include "base/clock.h"

#define LOOK_MS		200
#define BUSY_HOOKS	40	/* in that time */
#define REST_MOST_NS	500000000
#define SHARE_LEAST	2	/* percent */
#define BACKLOG		10000	/* rows that are worth more */

static int64_t
clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static void
look(struct throttle *p, struct db *d, int64_t now)
{
	int64_t newest, backlog;

	if (d == NULL || now - p->looked_at < LOOK_MS)
		return;
	if (queue_newest(d, &newest, &backlog) != FAULT_NONE)
		return;
	/* Compared with what a steady stream would bring until now. */
	p->busy = p->looked_at != 0 && newest - p->newest >
	    BUSY_HOOKS * (now - p->looked_at) / LOOK_MS;
	p->looked_at = now;
	p->newest = newest;
	p->backlog = backlog;
}

int
throttle_share(int64_t backlog)
{
	int share = SHARE_LEAST;

	while ((backlog /= 10) >= BACKLOG / 10)
		share += SHARE_LEAST;
	return share;
}

void
throttle_rest(struct throttle *p, struct db *d, int64_t old)
{
	int64_t used = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	int64_t rest = used - p->used;
	struct timespec ts;
	int share;

	p->used = used;
	look(p, d, clock_ms());
	if (!p->busy)
		return;
	share = throttle_share(p->backlog > old ? p->backlog : old);
	rest = rest / share * (100 - share);
	if (rest > REST_MOST_NS)
		rest = REST_MOST_NS;
	ts = (struct timespec){ .tv_nsec = (long)rest };
	nanosleep(&ts, NULL);
}
