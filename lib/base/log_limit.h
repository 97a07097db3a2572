/* How often something may be said that others can cause as often as they
 * like: a burst, then once a minute. */
#ifndef LOG_LIMIT_H
#define LOG_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#define LOG_LIMIT_BURST	100
#define LOG_LIMIT_EVERY	60000	/* ms; also until one of a burst is back */

/* Start from { 0 }. */
struct log_limit {
	unsigned	said;		/* of the burst, not yet back */
	int64_t		since;		/* ms, monotonic: when one came back */
	unsigned long	left_out;
};

/* Whether it may be said now. Then *left_out is how many were not since the
 * last that was. */
bool log_limit_passes(struct log_limit *, int64_t now, unsigned long *left_out);

#endif
