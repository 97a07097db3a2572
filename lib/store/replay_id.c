#include "store/replay_id.h"

#include <stdlib.h>

#define NUMBER_MAX	9	/* digits of a replay's number: it has an end */

unsigned long
replay_id_number(struct span id, struct span *base)
{
	size_t n = id.len, digits;
	char number[NUMBER_MAX + 1] = "";

	while (n > 0 && id.at[n - 1] >= '0' && id.at[n - 1] <= '9')
		n--;
	digits = id.len - n;
	*base = id;
	if (digits == 0 || digits > NUMBER_MAX || n < 2 ||
	    memcmp(id.at + n - 2, "-r", 2) != 0)
		return 1;
	memcpy(number, id.at + n, digits);
	base->len = n - 2;
	return strtoul(number, NULL, 10);
}

void
replay_id_next(struct text *t, struct span id)
{
	struct span base;
	unsigned long number = replay_id_number(id, &base);

	text_span(t, base);
	text_str(t, "-r");
	text_int(t, (int64_t)number + 1);
}
