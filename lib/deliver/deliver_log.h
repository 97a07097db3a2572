/* What delivery has to say: each trouble once, and once that it is over. */
#ifndef DELIVER_LOG_H
#define DELIVER_LOG_H

#include "base/fault.h"
#include "sink/sink.h"

/* Start from { 0 }. */
struct deliver_log {
	enum fault	fault;		/* said, and not yet over */
	char		said[SINK_WHY];	/* the sink's, likewise */
};

/* FAULT_NONE says that verdicts can be written again. */
void	deliver_log_database(struct deliver_log *, enum fault, const char *why);

/* An empty `why` says that all is well. What stands behind the first few
 * bytes may differ each time: that is the same trouble. */
void deliver_log_sink(struct deliver_log *, const char *sink, const char *why);

void	deliver_log_dead(const struct row *);

#endif
