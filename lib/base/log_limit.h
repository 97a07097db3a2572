/* Limits how often an event is logged that others can cause as often as they
 * like: a burst, then once a minute. */
#ifndef LOG_LIMIT_H
#define LOG_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#define LOG_LIMIT_BURST	100	/* events */
#define LOG_LIMIT_EVERY	60000	/* ms, after which one more may pass */

/* A token bucket. Start from { 0 }. */
struct log_limit {
	unsigned	used;		/* of the burst, and not given back */
	int64_t		since;		/* ms, monotonic: of the last return */
	unsigned long	left_out;	/* events since one has passed */
};

/* Whether an event passes `now` (ms, monotonic). If so, *left_out is the number
 * of events that have not passed since the last one that has. */
bool	log_limit_passes(struct log_limit *, int64_t now,
	    unsigned long *left_out);

#endif
