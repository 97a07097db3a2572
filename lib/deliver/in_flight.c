#include "deliver/in_flight.h"

#include <assert.h>

#define LANE_TIMES	3	/* a lane's limit: so many times what is free */
#define LANE_STUCK_MS	500	/* no row of the lane was accepted */

/* The limits of all lanes together. Rows that were tried before may hang until
 * the sink's time-out: they get little. */
static const struct in_flight_share most[2] = {
	{ .rows = 11000, .bytes = (size_t)11 << 20 },
	{ .rows = 1000, .bytes = (size_t)2 << 20 },
};

static size_t
bucket_of_id(int64_t id)
{
	return (size_t)id % IN_FLIGHT_BUCKETS;
}

static bool
is_tried(const struct row *r)
{
	return r->attempts != 0;
}

void
in_flight_add(struct in_flight *f, struct row *r, int64_t now)
{
	struct row **bucket = &f->bucket[bucket_of_id(r->id)];
	struct in_flight_share *all = &f->all[is_tried(r)];
	struct in_flight_share *lane = &f->lane[is_tried(r)][r->lane];

	r->hash_next = *bucket;
	*bucket = r;
	f->count++;
	if (lane->rows++ == 0)
		lane->moved_at = now;
	lane->bytes += r->envelope.len;
	all->rows++;
	all->bytes += r->envelope.len;
}

void
in_flight_drop(struct in_flight *f, struct row *r)
{
	struct row **p = &f->bucket[bucket_of_id(r->id)];
	struct in_flight_share *all = &f->all[is_tried(r)];
	struct in_flight_share *lane = &f->lane[is_tried(r)][r->lane];

	for (; *p != r; p = &(*p)->hash_next)
		assert(*p != NULL);
	*p = r->hash_next;
	f->count--;
	lane->rows--;
	lane->bytes -= r->envelope.len;
	all->rows--;
	all->bytes -= r->envelope.len;
}

static bool
is_in_flight(const struct in_flight *f, int64_t id)
{
	const struct row *r = f->bucket[bucket_of_id(id)];

	while (r != NULL && r->id != id)
		r = r->hash_next;
	return r != NULL;
}

unsigned
in_flight_room(const struct in_flight *f, bool tried)
{
	const struct in_flight_share *all = &f->all[tried];

	return all->rows < most[tried].rows && all->bytes < most[tried].bytes ?
	    most[tried].rows - all->rows : 0;
}

enum pick
in_flight_pick(const struct in_flight *f, int64_t id, bool tried, unsigned lane,
    int64_t now)
{
	const struct in_flight_share *own = &f->lane[tried][lane];
	const struct in_flight_share *all = &f->all[tried];

	if (is_in_flight(f, id))
		return PICK_PASS;
	if (in_flight_room(f, tried) == 0)
		return PICK_STOP;
	if (own->rows < LANE_TIMES * (most[tried].rows - all->rows) &&
	    own->bytes < LANE_TIMES * (most[tried].bytes - all->bytes))
		return PICK_TAKE;
	return now - own->moved_at > LANE_STUCK_MS ? PICK_PASS : PICK_STOP;
}

void
in_flight_moved(struct in_flight *f, const struct row *r, int64_t now)
{
	f->lane[is_tried(r)][r->lane].moved_at = now;
}
