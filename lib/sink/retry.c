#include "sink/retry.h"

enum fate
retry_fate(long status)
{
	if (status >= 200 && status < 300)
		return FATE_DELIVERED;
	switch (status) {
	case 0:		/* no answer, or not in time */
	case 408:
	case 425:
	case 429:
		return FATE_LATER;
	case 400:
	case 413:
	case 422:
		return FATE_REFUSED;
	default:
		/* Redirects too: they are not followed. */
		return status >= 500 ? FATE_LATER : FATE_MISCONFIGURED;
	}
}

int64_t
retry_wait(unsigned tries, uint32_t dice, int64_t after_ms)
{
	int64_t most = RETRY_MOST_MS, wait;

	/* 2^12 s is more than an hour. */
	if (tries >= 1 && tries <= 12)
		most = (int64_t)RETRY_LEAST_MS << (tries - 1);
	if (most > RETRY_MOST_MS)
		most = RETRY_MOST_MS;
	wait = (int64_t)(((uint64_t)dice * (uint64_t)(most + 1)) >> 32);
	if (after_ms > RETRY_MOST_MS)
		after_ms = RETRY_MOST_MS;
	return after_ms > wait ? after_ms : wait;
}
