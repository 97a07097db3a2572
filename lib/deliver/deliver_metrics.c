#include "deliver/deliver_metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/prometheus.h"

#define NAME(name)	"sentry_deliver_" name

static double
whole_seconds(int64_t ms)
{
	int64_t seconds = ms / 1000;

	return (double)seconds;
}

static void
write_versions(struct text *t, const struct deliver_metrics *m, int64_t now_ms)
{
	prometheus_build_info(t, NAME("build_info"), db_sqlite_version());
	prometheus_single(t, NAME("start_time_seconds"), "gauge", "When the "
	    "process began, in seconds since 1970.",
	    whole_seconds(m->started));
	prometheus_single(t, NAME("written_timestamp_seconds"), "gauge",
	    "When this was written.", whole_seconds(now_ms));
}

static void
write_rows(struct text *t, const struct deliver_metrics *m)
{
	static const char *const results[COUNTS] = {
		[COUNT_DELIVERED] = "delivered",
		[COUNT_ACKED] = "acked",
		[COUNT_RETRIED] = "retried",
		[COUNT_DEAD] = "dead",
		[COUNT_REQUEUED] = "redriven",
		[COUNT_PRUNED] = "pruned",
	};

	prometheus_head(t, NAME("rows_total"), "counter", "Rows by what was "
	    "done with them.");
	for (int i = 0; i < COUNTS; i++)
		prometheus_labelled(t, NAME("rows_total"), "result",
		    results[i], (double)m->count[i]);
}

static void
write_backlog(struct text *t, const struct backlog *c)
{
	static const char rows[] = NAME("outbox_rows");
	static const char oldest[] = NAME("outbox_oldest_timestamp_seconds");
	const struct {
		const char	*state;
		int64_t		 rows, oldest;	/* ms; 0: no such row */
	} states[] = {
		{ "pending", c->pending, c->oldest_pending },
		{ "unmapped", c->unmapped, c->oldest_unmapped },
		{ "acked", c->acked, c->oldest_acked },
		{ "dead", c->dead, c->oldest_dead },
	};

	prometheus_head(t, rows, "gauge", "Rows that are not delivered, by "
	    "state.");
	for (int i = 0; i < 4; i++)
		prometheus_labelled(t, rows, "state", states[i].state,
		    (double)states[i].rows);
	prometheus_head(t, oldest, "gauge", "When the first of these rows was "
	    "received, if there are any.");
	for (int i = 0; i < 4; i++)
		if (states[i].oldest != 0)
			prometheus_labelled(t, oldest, "state",
			    states[i].state, whole_seconds(states[i].oldest));
}

/* Returns 0, or -1. */
static int
write_file(const char *path, struct span s)
{
	char *temporary;
	FILE *out;
	bool bad = true;

	if (asprintf(&temporary, "%s.new", path) < 0)
		return -1;
	if ((out = fopen(temporary, "we")) != NULL) {
		bad = fwrite(s.at, 1, s.len, out) != s.len;
		/* The collector is another user, and nothing here is
		 * secret. */
		bad |= fchmod(fileno(out), 0644) != 0;
		bad |= fclose(out) != 0;
		bad |= rename(temporary, path) != 0;
		if (bad)
			(void)unlink(temporary);
	}
	free(temporary);
	return bad ? -1 : 0;
}

int
deliver_metrics_write(const struct deliver_metrics *m, const char *path,
    const struct backlog *c, unsigned in_flight, bool up, int64_t now_ms)
{
	struct text t = { 0 };
	int rc;

	write_versions(&t, m, now_ms);
	write_rows(&t, m);
	write_backlog(&t, c);
	prometheus_single(&t, NAME("in_flight_rows"), "gauge", "Rows on their "
	    "way.", in_flight);
	prometheus_single(&t, NAME("sink_up"), "gauge", "1 while the sink "
	    "takes rows.", up);
	rc = t.broken ? -1 : write_file(path, text_view(&t));
	text_release(&t);
	return rc;
}
