#include "deliver/yield.h"

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
measure_intake(struct yield *y, struct db *d, int64_t now)
{
	int64_t newest, backlog;

	if (d == NULL || now - y->measured_at < MEASURE_EVERY_MS)
		return;
	if (queue_newest(d, &newest, &backlog) != FAULT_NONE)
		return;
	/* More than BUSY_HOOKS in MEASURE_EVERY_MS, on average since then. */
	y->busy = y->measured_at != 0 && newest - y->newest >
	    BUSY_HOOKS * (now - y->measured_at) / MEASURE_EVERY_MS;
	y->measured_at = now;
	y->newest = newest;
	y->backlog = backlog;
}

int
yield_share(int64_t backlog)
{
	int share = SHARE_LEAST;

	while ((backlog /= 10) >= BACKLOG_LARGE / 10)
		share += SHARE_LEAST;
	return share;
}

void
yield_rest(struct yield *y, struct db *d, int64_t old)
{
	int64_t used = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	int64_t sleep_ns = used - y->used_ns;
	struct timespec ts;
	int share;

	y->used_ns = used;
	measure_intake(y, d, clock_ms());
	if (!y->busy)
		return;
	share = yield_share(y->backlog > old ? y->backlog : old);
	sleep_ns = sleep_ns / share * (100 - share);
	if (sleep_ns > SLEEP_MOST_NS)
		sleep_ns = SLEEP_MOST_NS;
	ts = (struct timespec){ .tv_nsec = (long)sleep_ns };
	nanosleep(&ts, NULL);
}
