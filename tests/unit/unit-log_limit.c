/* What strangers cause is said so often and no more, and then how often. */
#include "base/log_limit.h"

#include "../support/tap.h"

/* Of `count` at `now` how many pass; *left is what the last that passed
 * was told. */
static unsigned
passed(struct log_limit *s, int64_t now, unsigned count, unsigned long *left)
{
	unsigned n = 0;

	while (count-- > 0)
		n += log_limit_passes(s, now, left);
	return n;
}

static void
bursts(int64_t start)
{
	struct log_limit s = { 0 };
	unsigned long left = 99;
	int64_t minute = LOG_LIMIT_EVERY;

	ok(passed(&s, start, LOG_LIMIT_BURST, &left) == LOG_LIMIT_BURST &&
		left == 0,
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
	ok(passed(&s, start + 10000 * minute, 1000, &left) == LOG_LIMIT_BURST,
	    "but never more than a burst");
}

int
main(void)
{
	struct log_limit s = { 0 };
	unsigned long left = 0;
	int64_t now = 1;
	unsigned n = 0;

	bursts(1);
	bursts(LOG_LIMIT_EVERY * 1000000ll);
	/* As fast as can be for an hour. */
	for (; now < 60ll * LOG_LIMIT_EVERY; now += 7)
		n += log_limit_passes(&s, now, &left);
	ok(n == LOG_LIMIT_BURST + 59, "an hour's flood is a burst and a line a "
	    "minute: %u", n);
	return tap_done();
}
