#include "deliver/deliver_metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
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
put_rows(FILE *out, const struct deliver_metrics *t)
{
	static const char *const results[COUNTS] = {
		[COUNT_DELIVERED] = "{result=\"delivered\"}",
		[COUNT_ACKED] = "{result=\"acked\"}",
		[COUNT_RETRIED] = "{result=\"retried\"}",
		[COUNT_DEAD] = "{result=\"dead\"}",
		[COUNT_REQUEUED] = "{result=\"redriven\"}",
		[COUNT_PRUNED] = "{result=\"pruned\"}",
	};

	head(out, "rows_total", "counter", "Rows by what was done with "
	    "them.");
	for (int i = 0; i < COUNTS; i++)
		put(out, "rows_total", results[i], (long long)t->count[i]);
}

/* Nothing where there is no such row. */
static void
put_oldest(FILE *out, const char *labels, int64_t at)
{
	if (at != 0)
		put(out, "outbox_oldest_timestamp_seconds", labels, at / 1000);
}

static void
put_census(FILE *out, const struct backlog *c)
{
	head(out, "outbox_rows", "gauge", "Rows that are not delivered, by "
	    "state.");
	put(out, "outbox_rows", "{state=\"pending\"}", c->pending);
	put(out, "outbox_rows", "{state=\"unmapped\"}", c->unmapped);
	put(out, "outbox_rows", "{state=\"acked\"}", c->acked);
	put(out, "outbox_rows", "{state=\"dead\"}", c->dead);
	head(out, "outbox_oldest_timestamp_seconds", "gauge", "When the first "
	    "of these rows was received, if there are any.");
	put_oldest(out, "{state=\"pending\"}", c->oldest_pending);
	put_oldest(out, "{state=\"unmapped\"}", c->oldest_unmapped);
	put_oldest(out, "{state=\"acked\"}", c->oldest_acked);
	put_oldest(out, "{state=\"dead\"}", c->oldest_dead);
}

static void
put_process(FILE *out, const struct deliver_metrics *t, int64_t now_ms)
{
	head(out, "build_info", "gauge", "The program's version, and "
	    "SQLite's.");
	fprintf(out, "sentry_deliver_build_info{version=\"%s\","
	    "sqlite_version=\"%s\"} 1\n", PACKAGE_VERSION,
	    db_sqlite_version());
	head(out, "start_time_seconds", "gauge", "When the process began, in "
	    "seconds since 1970.");
	put(out, "start_time_seconds", "", t->started / 1000);
	head(out, "written_timestamp_seconds", "gauge", "When this was "
	    "written.");
	put(out, "written_timestamp_seconds", "", now_ms / 1000);
}

int
deliver_metrics_write(const struct deliver_metrics *t, const char *path,
    const struct backlog *c, unsigned in_flight, bool up, int64_t now_ms)
{
	char *temporary;
	FILE *out;
	bool bad = true;

	if (asprintf(&temporary, "%s.new", path) < 0)
		return -1;
	if ((out = fopen(temporary, "we")) != NULL) {
		put_process(out, t, now_ms);
		put_rows(out, t);
		put_census(out, c);
		head(out, "in_flight_rows", "gauge", "Rows on their way.");
		put(out, "in_flight_rows", "", in_flight);
		head(out, "sink_up", "gauge", "1 while the sink takes rows.");
		put(out, "sink_up", "", up);
		/* The collector is another user, and nothing here is
		 * secret. */
		bad = fchmod(fileno(out), 0644) != 0;
		bad |= ferror(out) != 0;
		bad |= fclose(out) != 0;
		bad |= rename(temporary, path) != 0;
		if (bad)
			(void)unlink(temporary);
	}
	free(temporary);
	return bad ? -1 : 0;
}
