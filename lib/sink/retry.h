/* What an answer means for a row, and how long a row waits. */
#ifndef RETRY_H
#define RETRY_H

#include <stdint.h>

enum fate {
	FATE_DELIVERED,		/* the sink has said so */
	FATE_ACKED,		/* taken, but not yet known to be on its disk */
	FATE_LATER,		/* try again; the row pays an attempt */
	FATE_UNREACHABLE,	/* nobody was there: others need not try now,
				 * and one row of all these pays */
	FATE_REFUSED,		/* one row of it is bad: split, or give up */
	FATE_MISCONFIGURED	/* not the row's fault: nobody pays */
};

#define RETRY_LEAST_MS	1000
#define RETRY_MOST_MS	3600000

/* By the status of an HTTP answer; 0 when there was none. */
enum fate	retry_fate(long status);

/* Milliseconds until the next attempt, after `tries` failed ones (at least
 * 1): a throw of the dice between 0 and a second that doubles with each try,
 * up to an hour ("full jitter"), or `after_ms`, the sink's own wish, if that
 * is later; it is cut to an hour. */
int64_t		retry_wait(unsigned tries, uint32_t dice, int64_t after_ms);

#endif
