/* Points in time as the source event has them: ISO 8601, UTC, `Z`. */
#ifndef TIMESTAMP_H
#define TIMESTAMP_H

#include <stdint.h>

#include "base/span.h"

struct timestamp {
	char	iso[64];	/* "2026-01-02T03:04:05.678Z", NUL-terminated */
};

/* Reads a date and time in ISO 8601. An offset is converted to UTC; without one
 * the time is UTC already. The fraction is kept as it was written, up to 40
 * digits. False, and an empty iso, for what is not a date of the years 0 to
 * 9999. */
bool	timestamp_iso(struct timestamp *, struct span);

/* The same from the digits of seconds since 1970, as "1566248317.391". A
 * fraction of zeros alone is dropped: a float of whole seconds prints so. */
bool	timestamp_seconds(struct timestamp *, struct span);

/* The same from milliseconds since 1970; the fraction has three digits. */
bool	timestamp_ms(struct timestamp *, int64_t ms);

/* Reads a date and time as timestamp_iso() does, to milliseconds since 1970.
 * False, and 0, for what is none. */
bool	timestamp_read_ms(int64_t *ms, struct span);

/* Whether a is later than b. An empty one is earlier than all others. */
bool	timestamp_later(const struct timestamp *a, const struct timestamp *b);

#endif
