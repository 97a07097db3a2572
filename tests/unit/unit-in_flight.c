/* What is on its way, and whose share it is; the clock is an argument. */
#include "deliver/in_flight.h"

#include <stdlib.h>

#include "../support/tap.h"

static int64_t last_id;

static struct row *
row(struct in_flight *f, unsigned attempts, unsigned lane, size_t bytes,
    int64_t now)
{
	struct row *r = row_new();

	if (r == NULL)
		abort();
	r->id = ++last_id;
	r->attempts = attempts;
	r->lane = lane;
	while (r->envelope.len < bytes)
		text_str(&r->envelope, "0123456789abcdef");
	in_flight_add(f, r, now);
	return r;
}

static bool
is_unused(const struct in_flight *f)
{
	for (int tried = 0; tried < 2; tried++) {
		if (f->all[tried].rows != 0 || f->all[tried].bytes != 0)
			return false;
		for (int i = 0; i < ROW_LANES; i++)
			if (f->lane[tried][i].rows != 0 ||
			    f->lane[tried][i].bytes != 0)
				return false;
	}
	return true;
}

static void
empty(struct in_flight *f)
{
	for (int i = 0; i < IN_FLIGHT_BUCKETS; i++)
		while (f->bucket[i] != NULL) {
			struct row *r = f->bucket[i];

			in_flight_drop(f, r);
			row_free(r);
		}
	ok(f->count == 0 && is_unused(f), "what came back is nobody's any "
	    "more");
}

/* As many rows of a lane as it may have. */
static unsigned
fill(struct in_flight *f, bool tried, unsigned lane, size_t bytes, int64_t now)
{
	unsigned n = 0;

	for (; in_flight_pick(f, -1, tried, lane, now) == PICK_TAKE; n++)
		(void)row(f, tried, lane, bytes, now);
	return n;
}

static void
shares(size_t bytes)
{
	static struct in_flight f;
	unsigned all = in_flight_room(&f, true), n;

	n = fill(&f, true, 1, bytes, 0);
	ok(n > 0 && n <= all / 4 * 3, "one workspace has %u rows of %zu bytes "
	    "that were tried", n, bytes);
	for (unsigned lane = 2; lane < 4; lane++)
		ok(fill(&f, true, lane, bytes, 0) > 0,
		    "and leaves some to others");
	while (in_flight_room(&f, true) > 0)
		(void)row(&f, 1, 9, bytes, 0);
	ok(in_flight_pick(&f, -1, true, 5, 9999) == PICK_STOP,
	    "then no more of these leave");
	n = fill(&f, false, 1, bytes, 0);
	ok(n > 0 && fill(&f, false, 2, bytes, 0) > 0,
	    "but %u that never were", n);
	empty(&f);
}

static void
turns(void)
{
	static struct in_flight f;
	struct row *r = row(&f, 0, 1, 1, 0);

	ok(in_flight_pick(&f, r->id, false, 1, 0) == PICK_PASS,
	    "a row that is on its way is passed over");
	(void)fill(&f, false, 1, 1, 0);
	ok(in_flight_pick(&f, -1, false, 1, 500) == PICK_STOP,
	    "who has all that is his waits for his turn");
	ok(in_flight_pick(&f, -1, false, 1, 501) == PICK_PASS,
	    "and is passed over when he does not move");
	in_flight_moved(&f, r, 1500);
	ok(in_flight_pick(&f, -1, false, 1, 2000) == PICK_STOP,
	    "until he does again");
	empty(&f);
}

int
main(void)
{
	shares(1);
	shares(100000);
	turns();
	return tap_done();
}
