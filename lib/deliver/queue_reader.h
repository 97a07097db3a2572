/* Rows that are due, out of the outbox: those that were never tried, and those
 * that were, each read for themselves. */
#ifndef READING_H
#define READING_H

#include "deliver/queue.h"

/* Start from { .tried = ... }. */
struct reading {
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
enum fault	reading_take(struct reading *, struct db *, struct flight *,
		    unsigned limit, int64_t due, int64_t now,
		    struct row **rows) __attribute__((warn_unused_result));

/* From the beginning, and at once. */
void		reading_again(struct reading *);

#endif
