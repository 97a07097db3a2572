#include "deliver/queue_reader.h"

#define POLL_EVERY_MS	250	/* for new rows */

/* One reading: the argument of the queue's visitor. */
struct reading {
	struct in_flight	*in_flight;
	bool			 tried;
	int64_t			 now;
	unsigned		 limit;
	struct row_list		 rows;
};

static enum pick
reading_pick(void *arg, int64_t id, unsigned lane)
{
	const struct reading *t = arg;

	return t->limit == 0 ? PICK_STOP :
	    in_flight_pick(t->in_flight, id, t->tried, lane, t->now);
}

static void
reading_take(void *arg, struct row *r)
{
	struct reading *t = arg;

	in_flight_add(t->in_flight, r, t->now);
	row_list_add(&t->rows, r);
	t->limit--;
}

enum fault
queue_reader_take(struct queue_reader *from, struct db *d,
    struct in_flight *in_flight, unsigned limit, int64_t due, int64_t now,
    struct row **rows)
{
	struct reading t = { in_flight, from->tried, now, limit, { 0 } };
	struct queue_visitor visitor = { reading_pick, reading_take, &t };
	enum fault f;

	*rows = NULL;
	if (limit == 0 || in_flight_room(in_flight, from->tried) == 0)
		return FAULT_NONE;
	row_list_start(&t.rows);
	f = queue_next(d, from->tried, &from->place, due, &visitor,
	    &from->idle);
	*rows = t.rows.first;
	if (from->idle || f != FAULT_NONE)
		from->place = (struct queue_place){ 0, 0 };
	from->empty = from->idle && *rows == NULL;
	from->poll_at = now + POLL_EVERY_MS;
	return f;
}

void
queue_reader_restart(struct queue_reader *from)
{
	*from = (struct queue_reader){ .tried = from->tried };
}
