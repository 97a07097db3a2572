/* Sentry's own log of the hooks that it could not deliver. */
#ifndef FAILURES_H
#define FAILURES_H

#include <stdint.h>

#include "base/json.h"

#define FAILURES_MAX	4096	/* a hundred of some twenty kinds */
#define FAILURES_KEPT	100	/* that Sentry keeps of each kind */

struct failures {
	int64_t	at[FAILURES_MAX];	/* ms, of hooks about issues; oldest
					 * first */
	size_t	count;
	size_t	others;		/* of hooks that the API knows nothing of */
	bool	full;		/* of some kind there may have been more */
};

/* Reads the answer's list, of one organization. What is of no known form is
 * left out. */
void	failures_read(struct failures *, struct json list, const char *org);

/* A window of them: those that follow each other within an hour. Returns the
 * index behind its last one, the first being at `from`. */
size_t	failures_window(const struct failures *, size_t from);

#endif
