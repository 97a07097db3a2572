#include "sink/retry.h"

#define DOUBLINGS_MOST	12	/* 2^12 s is more than an hour */

/* The statuses by RFC 9110, 425 by RFC 8470, 429 by RFC 6585. A server that
 * says 400, 413 or 422 does not take these events, now or later. */
enum fate
retry_fate(long status)
{
	if (status >= 200 && status < 300)
		return FATE_DELIVERED;
	switch (status) {
	case 0:		/* no answer, or not in time */
	case 408:	/* Request Timeout */
	case 425:	/* Too Early */
	case 429:	/* Too Many Requests */
		return FATE_LATER;
	case 400:	/* Bad Request */
	case 413:	/* Content Too Large */
	case 422:	/* Unprocessable Content */
		return FATE_REFUSED;
	default:
		/* A redirect is not followed: the URL is wrong. */
		return status >= 500 ? FATE_LATER : FATE_MISCONFIGURED;
	}
}

int64_t
retry_wait(unsigned tries, uint32_t jitter, int64_t after_ms)
{
	int64_t most = RETRY_MOST_MS, wait;

	if (tries >= 1 && tries <= DOUBLINGS_MOST)
		most = (int64_t)RETRY_LEAST_MS << (tries - 1);
	if (most > RETRY_MOST_MS)
		most = RETRY_MOST_MS;
	wait = (int64_t)(((uint64_t)jitter * (uint64_t)(most + 1)) >> 32);
	if (after_ms > RETRY_MOST_MS)
		after_ms = RETRY_MOST_MS;
	return after_ms > wait ? after_ms : wait;
}
