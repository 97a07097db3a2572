/* Outbox -> a sink: takes rows, keeps count of them, writes their verdicts. */
#ifndef DELIVER_H
#define DELIVER_H

#include <signal.h>

#include "deliver/queue.h"

struct deliver_config {
	const char	*db;
	struct sink	*sink;		/* closed by deliver_run() */
	bool		 once;		/* until nothing is due any more */
	unsigned	 max_attempts;
	int64_t		 settle_ms;
	int64_t		 keep_ms;	/* 0: for ever */
	const char	*metrics;	/* a file, or NULL */
	/* Ends the run when it becomes true; a signal handler may set it. */
	const volatile sig_atomic_t *stop;
};

/* Runs until it is told to stop, or, with `once`, until nothing is due.
 * Returns the exit status: 0; 1 when something is left undelivered after
 * `once`, or when the database cannot be used. Logs what happens. */
int	deliver_run(const struct deliver_config *);

#endif
