/* A point in time as the source event shows it: ISO 8601, UTC, `Z`. */
#ifndef TIMESTAMP_H
#define TIMESTAMP_H

#include <stdint.h>

#include "base/span.h"

struct timestamp {
	char	iso[64];	/* "2026-01-02T03:04:05.678Z", NUL-terminated */
};

/* Reads a date and time with an offset (+00:00 becomes Z, others are
 * converted, none means UTC) and keeps the fraction as it was written, up to
 * 40 digits. False, and an empty iso, for what is not a date of the years 0
 * to 9999. */
bool	timestamp_iso(struct timestamp *, struct span);

/* The same from seconds since 1970 in digits, as in "1566248317.391"; a
 * fraction of zeros alone is dropped: that is how a float prints. */
bool	timestamp_seconds(struct timestamp *, struct span);

/* The same from milliseconds since 1970, with three digits. */
bool	timestamp_ms(struct timestamp *, int64_t ms);

/* True when a is later than b; an empty one is before all others. */
bool	timestamp_later(const struct timestamp *a, const struct timestamp *b);

#endif
