/* Reads rows that are due: a reader for those that were never tried, and one
 * for those that were tried before. */
#ifndef QUEUE_READER_H
#define QUEUE_READER_H

#include "deliver/queue.h"

/* Start from { .tried = ... }. */
struct queue_reader {
	bool			 tried;
	struct queue_place	 place;
	int64_t			 poll_at;	/* ms, monotonic */
	bool			 idle;		/* it has come to the end */
	bool			 empty;		/* and has read no row there */
};

/* Reads up to `limit` rows that are due at `due` (ms since 1970, by the clock
 * of due_at) into the list *rows, as far as in_flight_pick() allows, and adds
 * them to those in flight. `now` is in ms, monotonic. Goes on behind the last
 * row that was read. At the end it begins again from the start, since a row
 * that comes later may be due earlier. */
enum fault	queue_reader_take(struct queue_reader *, struct db *,
		    struct in_flight *, unsigned limit, int64_t due,
		    int64_t now, struct row **rows)
		    __attribute__((warn_unused_result));

/* The next reading begins at the start, without waiting for poll_at. */
void		queue_reader_restart(struct queue_reader *);

#endif
