#include "deliver/queue_reader.h"

#define POLL_MS		250	/* between looks for new rows */

/* The queue's reader. */
struct taking {
	struct in_flight	*flight;
	bool		 tried;
	int64_t		 now;
	unsigned	 limit;
	struct row	**tail;
};

static enum pick
pick(void *arg, int64_t id, unsigned lane)
{
	const struct taking *t = arg;

	return t->limit == 0 ? PICK_STOP :
	    in_flight_pick(t->flight, id, t->tried, lane, t->now);
}

static void
take(void *arg, struct row *r)
{
	struct taking *t = arg;

	in_flight_add(t->flight, r, t->now);
	*t->tail = r;
	t->tail = &r->next;
	t->limit--;
}

enum fault
queue_reader_take(struct queue_reader *from, struct db *d,
    struct in_flight *flight, unsigned limit, int64_t due, int64_t now,
    struct row **rows)
{
	struct taking t = { flight, from->tried, now, limit, rows };
	struct queue_visitor reader = { pick, take, &t };
	enum fault f;

	*rows = NULL;
	if (limit == 0 || in_flight_room(flight, from->tried) == 0)
		return FAULT_NONE;
	f = queue_next(d, from->tried, &from->place, due, &reader,
	    &from->idle);
	if (from->idle || f != FAULT_NONE)
		from->place = (struct queue_place){ 0, 0 };
	from->empty = from->idle && *rows == NULL;
	from->poll_at = now + POLL_MS;
	return f;
}

void
queue_reader_restart(struct queue_reader *from)
{
	*from = (struct queue_reader){ .tried = from->tried };
}
