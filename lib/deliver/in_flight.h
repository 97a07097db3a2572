/* The rows that are on their way: nobody sends them twice, and no workspace,
 * nor what was tried before, takes all the room. */
#ifndef IN_FLIGHT_H
#define IN_FLIGHT_H

#include "sink/sink.h"

#define IN_FLIGHT_BUCKETS	4096

/* What whoever reads rows does with the next one. */
enum pick {
	PICK_TAKE,
	PICK_PASS,	/* look at the one behind it */
	PICK_STOP	/* that is enough; it is the next one again */
};

struct in_flight_share {
	unsigned	rows;
	size_t		bytes;		/* of their envelopes */
	int64_t		moved_at;	/* a lane's: ms, monotonic */
};

/* Start from { 0 }. Rows that were never tried, [0], and those that were, [1],
 * have a share each, and of either a lane has at most three times as much as it
 * leaves: three quarters, if it is alone, and however many want all, there is
 * something left for one more. */
struct in_flight {
	struct row	*bucket[IN_FLIGHT_BUCKETS];
	unsigned	 count;
	struct in_flight_share	 all[2];
	struct in_flight_share	 lane[2][ROW_LANES];
};

/* `now` is in ms, monotonic. */
void	in_flight_add(struct in_flight *, struct row *, int64_t now);
void	in_flight_drop(struct in_flight *, struct row *);

/* How many more rows, tried before or not, may leave; 0 when these have all
 * the rows or bytes that are theirs. */
unsigned	in_flight_room(const struct in_flight *, bool tried);

/* What to do with a row: it is passed over if it is on its
 * way, or if its lane has all that it may have and the sink has not taken a
 * row of it for half a second. Where the sink does, it waits for its turn. */
enum pick	in_flight_pick(const struct in_flight *, int64_t id, bool tried,
		    unsigned lane, int64_t now);

/* The sink has taken this row, or said what is wrong with it. */
void	in_flight_moved(struct in_flight *, const struct row *, int64_t now);

#endif
