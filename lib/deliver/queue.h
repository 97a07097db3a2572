/* The outbox as a queue: rows that are due, and what became of them. */
#ifndef QUEUE_H
#define QUEUE_H

#include "deliver/in_flight.h"
#include "store/store.h"

/* Opens the database (db.h) of a worker for delivery. */
enum fault	queue_open(struct db **, const char *path, char why[DB_WHY])
		    __attribute__((warn_unused_result));

/* FAULT_GONE when the path leads to another file by now: whoever only reads
 * for a while would not notice. Any other fault of a writer as well. */
enum fault queue_check_files(struct db *) __attribute__((warn_unused_result));

/* How far the reading has come; { 0 } is the beginning. Rows that were never
 * tried stand in the order of their ids, the others in that of (due_at, id). */
struct queue_place {
	int64_t	due_at, id;
};

/* Who reads: pick() says what is done with a row of this id and lane, take()
 * gets it, and owns it. */
struct queue_visitor {
	enum pick	(*pick)(void *arg, int64_t id, unsigned lane);
	void		(*take)(void *arg, struct row *);
	void		*arg;
};

/* No wait is that long: a row that is due later than this from now was put off
 * by a clock that was wrong, and is due (ms). */
#define QUEUE_FAR_MS	(RETRY_MOST_MS + 60000)

/* Reads pending rows that stand behind *place, which moves on: those that were
 * never tried, which are due always, or those that were tried before and are
 * due at `now` (ms). *end: there was nothing further; without it, and without
 * a PICK_STOP, many were passed over, and there may be more. No transaction is
 * left open. */
enum fault	queue_next(struct db *, bool tried, struct queue_place *place,
		    int64_t now, const struct queue_visitor *, bool *end)
		    __attribute__((warn_unused_result));

/* The highest id that a row of the outbox ever had, 0 for none; and how far
 * behind it the first row stands that was never tried. */
enum fault	queue_newest(struct db *, int64_t *id, int64_t *backlog)
		    __attribute__((warn_unused_result));

/* Writes a list of verdicts in one transaction: DELIVERED, ACKED (to be
 * settled at r->due_at), LATER (again at r->due_at), REFUSED (dead). A row
 * that was changed meanwhile, by a replay, stays as it is. */
enum fault	queue_write_fates(struct db *, const struct row *, int64_t now,
		    const char *sink) __attribute__((warn_unused_result));

/* An acked row, whose time to settle has come. */
struct queue_acked {
	int64_t		id;
	uint64_t	seq;
	int64_t		due_at;		/* ms; they come in its order */
	char		event_id[ROW_EVENT_ID];
	bool		lost;		/* set by the caller: back to pending */
};
/* Up to `limit` rows of this sink that are to be settled after `from` and up
 * to `until` (ms, as due_at has it). */
enum fault	queue_acked(struct db *, int64_t from, int64_t until,
		    const char *sink, struct queue_acked *, unsigned limit,
		    unsigned *count) __attribute__((warn_unused_result));
/* Delivered at `now`, or lost, and due again at `due`. */
enum fault queue_confirm(struct db *, const struct queue_acked *,
    unsigned count, int64_t now, int64_t due)
    __attribute__((warn_unused_result));

/* The highest sequence that is acked by this sink; 0 for none. */
enum fault	queue_highest(struct db *, const char *sink, uint64_t *seq)
		    __attribute__((warn_unused_result));

/* Makes up to `limit` rows pending again that were acked by `stream` under
 * another creation (a sink named "STREAM@..." that is not `sink`), or by
 * `sink` with a sequence above last_seq, due at `due`. *count: how many. */
enum fault	queue_requeue(struct db *, const char *stream,
		    const char *sink, uint64_t last_seq, int64_t due,
		    unsigned limit, unsigned *count)
		    __attribute__((warn_unused_result));

/* Deletes rows that are delivered, and hooks without a row, received before
 * `before` (ms; it is `now`), among the next `span` ids of the two tables, by
 * turns; *place moves on. *end: the pass is over. Then gives some free pages
 * back to the disk. */
struct queue_prune_place {		/* { 0 } is the beginning */
	bool	hooks;		/* it is their turn */
	bool	ended[2];	/* of rows; of hooks */
	int64_t	id[2];
	int64_t	left;		/* how many are to go, by a guess */
};
enum fault queue_prune(struct db *, struct queue_prune_place *, int64_t before,
    int64_t now, unsigned span, unsigned *deleted, bool *end)
    __attribute__((warn_unused_result));

enum fault	queue_count_backlog(struct db *, struct backlog *)
		    __attribute__((warn_unused_result));

#endif
