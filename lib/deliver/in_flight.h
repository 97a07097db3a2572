/* The rows in flight: read from the queue, and their fate not written yet. No
 * row is sent twice at a time, and neither one workspace nor the rows that were
 * tried before can take all the room. */
#ifndef IN_FLIGHT_H
#define IN_FLIGHT_H

#include "sink/sink.h"

#define IN_FLIGHT_BUCKETS	4096

/* What to do with a row when the queue is read. */
enum pick {
	PICK_TAKE,
	PICK_PASS,	/* go on with the row behind it */
	PICK_STOP	/* read no further; next time begin with this row */
};

struct in_flight_share {
	unsigned	rows;
	size_t		bytes;		/* of their envelopes */
	int64_t		moved_at;	/* of a lane: when the sink last
					 * accepted one of its rows, or when it
					 * got its first; ms, monotonic */
};

/* Start from { 0 }. Rows that were never tried, [0], and rows that were, [1],
 * have limits of their own. Of either kind a lane (row.h) takes at most three
 * times as much as all lanes together leave free: three quarters if it is
 * alone, and if several are full, a further one still finds room. */
struct in_flight {
	struct row		*bucket[IN_FLIGHT_BUCKETS];	/* by id */
	unsigned		 count;
	struct in_flight_share	 all[2];
	struct in_flight_share	 lane[2][ROW_LANES];
};

/* Below, `now` is in ms, monotonic. The rows belong to the caller; a row must
 * be dropped before it is freed. */
void		in_flight_add(struct in_flight *, struct row *, int64_t now);
void		in_flight_drop(struct in_flight *, struct row *);

/* How many more rows of a kind may be added; 0 when their limit of rows or of
 * bytes is reached. */
unsigned	in_flight_room(const struct in_flight *, bool tried);

/* Whether to add a row that was read. PICK_PASS if it is in flight already. If
 * its lane is full: PICK_STOP, so that the row keeps its place in the queue;
 * but PICK_PASS when the sink has accepted no row of the lane for half a
 * second, so that the lane does not hold up the others. */
enum pick	in_flight_pick(const struct in_flight *, int64_t id, bool tried,
		    unsigned lane, int64_t now);

/* The sink has accepted this row, or refused it for good. */
void		in_flight_moved(struct in_flight *, const struct row *,
		    int64_t now);

#endif
