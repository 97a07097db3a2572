/* What time it is. */
#ifndef CLOCK_H
#define CLOCK_H

#include <stdint.h>

/* Since some moment in the past, and never set back: what lasts, and what is
 * waited for, is measured by these. In milliseconds; in microseconds. */
int64_t	clock_ms(void);
int64_t	clock_us(void);

/* Milliseconds since 1970, UTC: what is written down and shown. It jumps when
 * the machine's clock is set. */
int64_t	clock_wall_ms(void);

#endif
