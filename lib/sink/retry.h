/* What an HTTP status means for a row, and how long a row waits. */
#ifndef RETRY_H
#define RETRY_H

#include "sink/row.h"

#define RETRY_LEAST_MS	1000
#define RETRY_MOST_MS	3600000

/* The fate that an HTTP status stands for; 0: there was no answer. */
enum fate	retry_fate(long status);

/* Returns how many milliseconds a row waits after `tries` failed attempts (at
 * least 1): a random time between 0 and one second, which doubles with each
 * attempt up to an hour. (This is "full jitter": rows that failed together do
 * not come back together.) `jitter` is a random number of 32 bits. If
 * `after_ms`, the time that the sink asks for, is longer, it counts instead;
 * it is cut to an hour. */
int64_t		retry_wait(unsigned tries, uint32_t jitter, int64_t after_ms);

#endif
