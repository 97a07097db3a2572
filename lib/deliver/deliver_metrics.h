/* What was done with rows, counted, and how Prometheus reads it. */
#ifndef DELIVER_METRICS_H
#define DELIVER_METRICS_H

#include "store/store.h"

enum deliver_metric {
	COUNT_DELIVERED, COUNT_ACKED, COUNT_RETRIED, COUNT_DEAD,
	COUNT_REQUEUED, COUNT_PRUNED, COUNTS
};

struct deliver_metrics {
	unsigned long	count[COUNTS];
	int64_t		started;	/* ms since 1970 */
};

/* Writes a file for node_exporter's textfile collector, whole or not at all.
 * `up`: the sink takes rows. 0, or -1 with errno. */
int	deliver_metrics_write(const struct deliver_metrics *, const char *path,
	    const struct backlog *, unsigned in_flight, bool up,
	    int64_t now_ms);

#endif
