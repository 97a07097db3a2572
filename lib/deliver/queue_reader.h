/* Rows that are due, out of the outbox: those that were never tried, and those
 * that were, each read for themselves. */
#ifndef QUEUE_READER_H
#define QUEUE_READER_H

#include "deliver/queue.h"

/* Start from { .tried = ... }. */
struct queue_reader {
	bool			 tried;
	struct queue_place	 place;
	int64_t			 poll_at;	/* ms, monotonic */
	bool			 idle;		/* nothing further is due */
	bool			 empty;		/* nor was anything read */
};

/* Reads up to `limit` rows that are due at `due` (ms, as due_at has it), as
 * far as their share goes (flight.h), into the list *rows, and adds them to
 * those in flight. `now` is in ms, monotonic. Who has come to the end begins
 * again; rows that come later may be due earlier. */
enum fault queue_reader_take(struct queue_reader *, struct db *,
    struct in_flight *, unsigned limit, int64_t due, int64_t now,
    struct row **rows) __attribute__((warn_unused_result));

/* From the beginning, and at once. */
void		queue_reader_restart(struct queue_reader *);

#endif
