/* What was done with rows, counted, and how Prometheus reads it. */
#ifndef TALLY_H
#define TALLY_H

#include "store/store.h"

enum tally_count {
	COUNT_DELIVERED, COUNT_ACKED, COUNT_RETRIED, COUNT_DEAD,
	COUNT_REDRIVEN, COUNT_PRUNED, COUNTS
};

struct tally {
	unsigned long	count[COUNTS];
	int64_t		started;	/* ms since 1970 */
};

/* Writes a file for node_exporter's textfile collector, whole or not at all.
 * `up`: the sink takes rows. 0, or -1 with errno. */
int	tally_write(const struct tally *, const char *path,
	    const struct census *, unsigned in_flight, bool up,
	    int64_t now_ms);

#endif
