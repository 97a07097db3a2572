/* The outbox as a queue: rows that are due, and what became of them. */
#ifndef QUEUE_H
#define QUEUE_H

#include "deliver/in_flight.h"
#include "sink/retry.h"
#include "store/store.h"

/* Times are in ms since 1970: `now` by the wall clock, `due` by the clock of
 * due_at (deliver_state.h). Every function leaves no transaction open. */

/* Opens the database (db.h) of a worker for delivery. */
enum fault	queue_open(struct db **, const char *path, char why[DB_WHY])
		    __attribute__((warn_unused_result));

/* FAULT_GONE if the path leads to another file by now, which mere reading does
 * not notice; or what else keeps us from writing. */
enum fault	queue_check_files(struct db *)
		    __attribute__((warn_unused_result));

/* ---- reading ---- */

/* How far the reading has come; { 0 } is the beginning. Rows that were never
 * tried are read in the order of their ids, the others by (due_at, id). */
struct queue_place {
	int64_t	due_at, id;
};

/* The reader. pick() decides about a row by its id and lane; take() becomes the
 * owner of a row that was picked. */
struct queue_visitor {
	enum pick	(*pick)(void *arg, int64_t id, unsigned lane);
	void		(*take)(void *arg, struct row *);
	void		*arg;
};

/* No row is put off for longer than this: one that is due later (ms from now)
 * was put off while the clock was wrong, and is due now. */
#define QUEUE_FAR_MS	(RETRY_MOST_MS + 60000)

/* Reads pending rows behind *place, which moves on. Without `tried`: those that
 * were never tried, which are always due; with it: those that were tried
 * before, and are due at `due`. *end: there is no further row. If it is false
 * and pick() never said PICK_STOP, many rows were passed over, and there may be
 * more behind them. */
enum fault	queue_next(struct db *, bool tried, struct queue_place *place,
		    int64_t due, const struct queue_visitor *, bool *end)
		    __attribute__((warn_unused_result));

/* *id: the highest id that a row of the outbox ever had, 0 for none; *backlog:
 * how many ids it is from the first row that was never tried to that one. */
enum fault	queue_newest(struct db *, int64_t *id, int64_t *backlog)
		    __attribute__((warn_unused_result));

enum fault	queue_count_backlog(struct db *, struct backlog *)
		    __attribute__((warn_unused_result));

/* ---- fates ---- */

/* Writes the fates of a list of rows in one transaction. FATE_DELIVERED and
 * FATE_REFUSED (dead) are final; FATE_ACKED is confirmed, and FATE_LATER tried
 * again, at r->due_at. A row that was changed since it was read, by a replay,
 * stays as it is. `sink` is the sink's name. */
enum fault	queue_write_fates(struct db *, const struct row *, int64_t now,
		    const char *sink) __attribute__((warn_unused_result));

/* ---- confirming ---- */

/* An acknowledged row that is to be confirmed. */
struct queue_acked {
	int64_t		id;
	uint64_t	seq;		/* in the stream */
	int64_t		due_at;
	char		event_id[ROW_EVENT_ID];
	bool		lost;	/* set by the caller: the stream has it not */
};

/* Up to `limit` rows of this sink with a due_at above `from`, and up to
 * `until`, in that order. */
enum fault	queue_acked(struct db *, int64_t from, int64_t until,
		    const char *sink, struct queue_acked *, unsigned limit,
		    unsigned *count) __attribute__((warn_unused_result));

/* Rows become delivered at `now`; or pending, if they are lost, and due at
 * `due`. */
enum fault	queue_confirm(struct db *, const struct queue_acked *,
		    unsigned count, int64_t now, int64_t due)
		    __attribute__((warn_unused_result));

/* The highest sequence among the acknowledged rows of this sink; 0 for none. */
enum fault	queue_highest(struct db *, const char *sink, uint64_t *seq)
		    __attribute__((warn_unused_result));

/* Makes up to `limit` acknowledged rows pending again, due at `due`: those of
 * another creation of `stream` (their sink is named "STREAM@...", but not
 * `sink`), and those of `sink` with a sequence above last_seq. */
enum fault	queue_requeue(struct db *, const char *stream,
		    const char *sink, uint64_t last_seq, int64_t due,
		    unsigned limit, unsigned *count)
		    __attribute__((warn_unused_result));

/* ---- pruning ---- */

/* How far a pass over both tables has come; { 0 } is the beginning. */
struct queue_prune_place {
	bool	hooks;		/* their table is next, not the rows' */
	bool	ended[2];	/* of rows; of hooks */
	int64_t	id[2];		/* likewise: the last one looked at */
	int64_t	left;		/* a guess: how many are still to be deleted */
};

/* Looks at the next `span` ids of one table, rows and hooks in turn, and
 * deletes rows that are delivered, or hooks that have no row, if they were
 * received before `before`. Then gives some free pages back to the disk.
 * *deleted: how many; *end: the pass is over. */
enum fault	queue_prune(struct db *, struct queue_prune_place *,
		    int64_t before, int64_t now, unsigned span,
		    unsigned *deleted, bool *end)
		    __attribute__((warn_unused_result));

#endif
