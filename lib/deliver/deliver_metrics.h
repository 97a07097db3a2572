/* Counts what became of rows, and writes that to a file for Prometheus. */
#ifndef DELIVER_METRICS_H
#define DELIVER_METRICS_H

#include "store/store.h"

enum deliver_metric {
	COUNT_DELIVERED,
	COUNT_ACKED,
	COUNT_RETRIED,		/* an attempt failed; another one follows */
	COUNT_DEAD,
	COUNT_REQUEUED,		/* the stream had lost it */
	COUNT_PRUNED,		/* deleted; hooks are counted, too */
	COUNTS
};

struct deliver_metrics {
	unsigned long	count[COUNTS];
	int64_t		started;	/* ms since 1970 */
};

/* Writes a file for node_exporter's textfile collector, which never sees half
 * of it: it is written under another name, and renamed. `up`: the sink takes
 * rows; `now_ms`: since 1970. Returns 0, or -1. */
int	deliver_metrics_write(const struct deliver_metrics *, const char *path,
	    const struct backlog *, unsigned in_flight, bool up,
	    int64_t now_ms);

#endif
