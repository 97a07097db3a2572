#include "deliver/throttle.h"

#include <time.h>

#include "base/clock.h"

#define MEASURE_EVERY_MS	200
#define BUSY_HOOKS		40	/* in that time */
#define SLEEP_MOST_NS		500000000
#define SHARE_LEAST		2	/* percent */
#define BACKLOG_LARGE		10000	/* rows: the share begins to grow */

static int64_t
clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static void
measure_intake(struct throttle *t, struct db *d, int64_t now)
{
	int64_t newest, backlog;

	if (d == NULL || now - t->measured_at < MEASURE_EVERY_MS)
		return;
	if (queue_newest(d, &newest, &backlog) != FAULT_NONE)
		return;
	/* More than BUSY_HOOKS in MEASURE_EVERY_MS, on average since then. */
	t->busy = t->measured_at != 0 && newest - t->newest >
	    BUSY_HOOKS * (now - t->measured_at) / MEASURE_EVERY_MS;
	t->measured_at = now;
	t->newest = newest;
	t->backlog = backlog;
}

int
throttle_share(int64_t backlog)
{
	int share = SHARE_LEAST;

	while ((backlog /= 10) >= BACKLOG_LARGE / 10)
		share += SHARE_LEAST;
	return share;
}

void
throttle_rest(struct throttle *t, struct db *d, int64_t old)
{
	int64_t used = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	int64_t sleep_ns = used - t->used_ns;
	struct timespec ts;
	int share;

	t->used_ns = used;
	measure_intake(t, d, clock_ms());
	if (!t->busy)
		return;
	share = throttle_share(t->backlog > old ? t->backlog : old);
	sleep_ns = sleep_ns / share * (100 - share);
	if (sleep_ns > SLEEP_MOST_NS)
		sleep_ns = SLEEP_MOST_NS;
	ts = (struct timespec){ .tv_nsec = (long)sleep_ns };
	nanosleep(&ts, NULL);
}
