#include "pace.h"

#include <time.h>

#include "clock.h"

#define LOOK_MS		200
#define BUSY_HOOKS	40	/* in that time */
#define REST_MOST_NS	500000000

static int64_t
clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static void
look(struct pace *p, struct db *d, int64_t now)
{
	int64_t newest;

	if (d == NULL || now - p->looked_at < LOOK_MS)
		return;
	if (queue_newest(d, &newest) != FAULT_NONE)
		return;
	/* Compared with what a steady stream would bring until now. */
	p->busy = p->looked_at != 0 && newest - p->newest >
	    BUSY_HOOKS * (now - p->looked_at) / LOOK_MS;
	p->looked_at = now;
	p->newest = newest;
}

void
pace_rest(struct pace *p, struct db *d)
{
	int64_t used = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	int64_t rest = (used - p->used) * PACE_REST;
	struct timespec ts;

	p->used = used;
	look(p, d, clock_ms());
	if (!p->busy)
		return;
	if (rest > REST_MOST_NS)
		rest = REST_MOST_NS;
	ts = (struct timespec){ .tv_nsec = (long)rest };
	nanosleep(&ts, NULL);
}
