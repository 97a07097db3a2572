/* What delivery has to say: each trouble once, and once that it is over. */
#ifndef TROUBLE_H
#define TROUBLE_H

#include "base/fault.h"
#include "sink/sink.h"

/* Start from { 0 }. */
struct trouble {
	enum fault	fault;		/* said, and not yet over */
	char		said[SINK_WHY];	/* the sink's, likewise */
};

/* FAULT_NONE says that verdicts can be written again. */
void	trouble_database(struct trouble *, enum fault, const char *why);

/* An empty `why` says that all is well. What stands behind the first few
 * bytes may differ each time: that is the same trouble. */
void	trouble_sink(struct trouble *, const char *sink, const char *why);

void	trouble_dead(const struct row *);

#endif
