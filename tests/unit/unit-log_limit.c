/* What strangers cause is said so often and no more, and then how often. */
#include "base/log_limit.h"

#include "../support/tap.h"

/* Of `count` at `now` how many pass; *left is what the last that passed
 * was told. */
static unsigned
passed(struct seldom *s, int64_t now, unsigned count, unsigned long *left)
{
	unsigned n = 0;

	while (count-- > 0)
		n += seldom_passes(s, now, left);
	return n;
}

static void
bursts(int64_t start)
{
	struct seldom s = { 0 };
	unsigned long left = 99;
	int64_t minute = SELDOM_EVERY;

	ok(passed(&s, start, SELDOM_BURST, &left) == SELDOM_BURST && left == 0,
	    "a burst is said in full");
	ok(passed(&s, start, 1000, &left) == 0, "and no more than that");
	ok(passed(&s, start + minute - 1, 1000, &left) == 0,
	    "nor before a minute is over");
	ok(passed(&s, start + minute, 1000, &left) == 1 && left == 2000,
	    "then one, which says how many were left out");
	ok(passed(&s, start + 2 * minute, 1, &left) == 1 && left == 999,
	    "and counts anew from there");
	ok(passed(&s, start + 12 * minute, 1000, &left) == 10 && left == 0,
	    "in ten minutes ten are back");
	ok(passed(&s, start + 10000 * minute, 1000, &left) == SELDOM_BURST,
	    "but never more than a burst");
}

int
main(void)
{
	struct seldom s = { 0 };
	unsigned long left = 0;
	int64_t now = 1;
	unsigned n = 0;

	bursts(1);
	bursts(SELDOM_EVERY * 1000000ll);
	/* As fast as can be for an hour. */
	for (; now < 60ll * SELDOM_EVERY; now += 7)
		n += seldom_passes(&s, now, &left);
	ok(n == SELDOM_BURST + 59, "an hour's flood is a burst and a line a "
	    "minute: %u", n);
	return tap_done();
}
