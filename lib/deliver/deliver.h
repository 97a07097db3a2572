/* Delivery: takes rows from the outbox to a sink, and writes their fate. */
#ifndef DELIVER_H
#define DELIVER_H

#include <signal.h>

#include "sink/sink.h"

struct deliver_config {
	const char	*db;		/* path of the database */
	struct sink	*sink;		/* deliver_run() closes it */
	bool		 once;		/* end when no row is due any more */
	unsigned	 max_attempts;	/* after so many a row is dead */
	int64_t		 settle_ms;	/* from FATE_ACKED to confirmation */
	int64_t		 keep_ms;	/* delivered rows; 0: for ever */
	const char	*metrics;	/* a file for Prometheus, or NULL */
	/* The run ends when this becomes true; a signal handler may set it. */
	const volatile sig_atomic_t *stop;
};

/* Delivers until it is told to stop, or, with `once`, until no row is due, and
 * logs what happens. Returns the exit status: 0; or 1 when the database cannot
 * be used, when the sink has failed, or when, with `once`, rows are left that
 * are not delivered. */
int	deliver_run(const struct deliver_config *);

#endif
