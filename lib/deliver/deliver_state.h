/* What a run of delivery knows, and its connection to the database. */
#ifndef DELIVER_STATE_H
#define DELIVER_STATE_H

#include "deliver/confirm.h"
#include "deliver/deliver.h"
#include "deliver/deliver_log.h"
#include "deliver/queue_reader.h"
#include "deliver/yield.h"

/* Times are in ms, monotonic (clock_ms()), unless it says otherwise. */
struct deliver {
	const struct deliver_config *config;
	struct sink		*sink;
	int64_t			 started_at;
	bool			 failed;	/* ends the run: status 1 */
	bool			 had_error;	/* the sink, in the last step */

	/* The database (deliver_state.c). */
	struct db		*db;		/* NULL after a fault */
	struct db		*moved_db;	/* its file was moved away; its
						 * log is not empty yet */
	bool			 retired;	/* db_renew() is due */
	int64_t			 reopen_at;
	int64_t			 wall_offset;	/* wall clock at the start, less
						 * the monotonic one */

	/* Rows out and back (deliver_rows.c). */
	struct queue_reader	 fresh, tried;	/* two parts of the queue */
	struct in_flight	 in_flight;	/* rows that were read, until
						 * their fate is written */
	struct row_list		 unwritten;	/* of these: with a fate */
	unsigned		 unwritten_count;
	int64_t			 unwritten_since;
	int64_t			 pause_ms;	/* the last pause, 0 if the sink
						 * has answered since */
	int64_t			 pause_until;
	int64_t			 accepted_at;	/* a row, by the sink */

	/* Regular work (deliver_upkeep.c). */
	struct confirm		 confirm;
	struct queue_prune_place prune;
	int64_t			 check_at, prune_at, metrics_at;
	struct deliver_metrics	 metrics;
	struct deliver_log	 log;
	struct yield		 yield;
};

/* Opens the database, unless that was tried less than a second ago. Returns
 * FAULT_NONE then, too: d->db says whether it is open. */
enum fault	deliver_state_open(struct deliver *);

/* Takes the result of each operation on the database. FAULT_BUSY passes. After
 * any other fault the database is closed; it is opened again later, but not
 * with `once`. */
void		deliver_state_fault(struct deliver *, enum fault);

/* Now, by the clock of due_at (ms since 1970). This is the wall clock at the
 * start plus the time since then: if somebody sets the wall clock meanwhile, no
 * row waits longer. */
int64_t		deliver_state_due_now(const struct deliver *);

#endif
