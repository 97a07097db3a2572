/* What delivery logs: each fault of the database or the sink once, and once
 * that it is over. */
#ifndef DELIVER_LOG_H
#define DELIVER_LOG_H

#include "base/fault.h"
#include "sink/sink.h"

/* What was logged last. Start from { 0 }. */
struct deliver_log {
	enum fault	fault;		/* of the database, or FAULT_NONE */
	char		sink_error[SINK_WHY];	/* or "" */
};

/* FAULT_NONE: fates can be written (again). */
void	deliver_log_database(struct deliver_log *, enum fault,
	    const char *why);

/* `why` is "" when the sink takes rows. Two reasons are the same if their first
 * few bytes are: the rest may differ each time. */
void	deliver_log_sink(struct deliver_log *, const char *sink,
	    const char *why);

/* A row that is not tried again. */
void	deliver_log_dead(const struct row *);

#endif
