#include "tally.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void
put(FILE *out, const char *name, const char *labels, long long value)
{
	fprintf(out, "sentry_deliver_%s%s %lld\n", name, labels, value);
}

static void
head(FILE *out, const char *name, const char *type, const char *help)
{
	fprintf(out, "# HELP sentry_deliver_%s %s\n"
	    "# TYPE sentry_deliver_%s %s\n", name, help, name, type);
}

static void
put_rows(FILE *out, const struct tally *t)
{
	static const char *const results[COUNTS] = {
		[COUNT_DELIVERED] = "{result=\"delivered\"}",
		[COUNT_ACKED] = "{result=\"acked\"}",
		[COUNT_RETRIED] = "{result=\"retried\"}",
		[COUNT_DEAD] = "{result=\"dead\"}",
		[COUNT_REDRIVEN] = "{result=\"redriven\"}",
		[COUNT_PRUNED] = "{result=\"pruned\"}",
	};

	head(out, "rows_total", "counter", "Rows by what was done with "
	    "them.");
	for (int i = 0; i < COUNTS; i++)
		put(out, "rows_total", results[i], (long long)t->count[i]);
}

static void
put_census(FILE *out, const struct census *c)
{
	head(out, "outbox_rows", "gauge", "Rows that are not delivered, by "
	    "state.");
	put(out, "outbox_rows", "{state=\"pending\"}", c->pending);
	put(out, "outbox_rows", "{state=\"unmapped\"}", c->unmapped);
	put(out, "outbox_rows", "{state=\"acked\"}", c->acked);
	put(out, "outbox_rows", "{state=\"dead\"}", c->dead);
	head(out, "oldest_pending_timestamp_seconds", "gauge", "When the "
	    "pending row that is due first was received; 0 for none.");
	put(out, "oldest_pending_timestamp_seconds", "",
	    c->oldest_pending / 1000);
}

int
tally_write(const struct tally *t, const char *path, const struct census *c,
    unsigned in_flight, bool up, int64_t now_ms)
{
	char *temporary;
	FILE *out;
	bool bad = true;

	if (asprintf(&temporary, "%s.new", path) < 0)
		return -1;
	if ((out = fopen(temporary, "we")) != NULL) {
		put_rows(out, t);
		put_census(out, c);
		head(out, "in_flight", "gauge", "Rows on their way.");
		put(out, "in_flight", "", in_flight);
		head(out, "sink_up", "gauge", "1 while the sink takes rows.");
		put(out, "sink_up", "", up);
		head(out, "written_timestamp_seconds", "gauge", "When this "
		    "was written.");
		put(out, "written_timestamp_seconds", "", now_ms / 1000);
		bad = ferror(out) != 0;
		bad |= fclose(out) != 0;
		bad |= rename(temporary, path) != 0;
		if (bad)
			(void)unlink(temporary);
	}
	free(temporary);
	return bad ? -1 : 0;
}
