/* The machine's clocks. */
#ifndef CLOCK_H
#define CLOCK_H

#include <stdint.h>

/* The monotonic clock, in milliseconds and in microseconds since an unknown
 * start. It is never set: durations and time-outs are measured with it. */
int64_t	clock_ms(void);
int64_t	clock_us(void);

/* The calendar's clock, in milliseconds since 1970, UTC: for times that are
 * stored or shown. It jumps when an administrator or NTP sets it. */
int64_t	clock_wall_ms(void);

#endif
