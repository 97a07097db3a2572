#include "base/clock.h"

#include <time.h>

#define US_PER_SECOND	1000000
#define US_PER_MS	1000
#define NS_PER_US	1000

static int64_t
clock_read_us(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (int64_t)ts.tv_sec * US_PER_SECOND + ts.tv_nsec / NS_PER_US;
}

int64_t
clock_ms(void)
{
	return clock_read_us(CLOCK_MONOTONIC) / US_PER_MS;
}

int64_t
clock_us(void)
{
	return clock_read_us(CLOCK_MONOTONIC);
}

int64_t
clock_wall_ms(void)
{
	return clock_read_us(CLOCK_REALTIME) / US_PER_MS;
}
