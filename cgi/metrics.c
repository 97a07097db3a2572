#include "metrics.h"

static unsigned long	counters[METRICS];	/* atomic */
static int64_t		last_hook;		/* atomic; ms */

void
metrics_count(enum metric m)
{
	__atomic_add_fetch(&counters[m], 1, __ATOMIC_RELAXED);
}

void
metrics_hook(int64_t now_ms)
{
	__atomic_store_n(&last_hook, now_ms, __ATOMIC_RELAXED);
}

static void
head(struct text *t, const char *name, const char *type, const char *help)
{
	text_str(t, "# HELP sentry_webhooks_");
	text_str(t, name);
	text_str(t, " ");
	text_str(t, help);
	text_str(t, "\n# TYPE sentry_webhooks_");
	text_str(t, name);
	text_str(t, " ");
	text_str(t, type);
	text_str(t, "\n");
}

static void
sample(struct text *t, const char *name, const char *labels, int64_t value)
{
	text_str(t, "sentry_webhooks_");
	text_str(t, name);
	text_str(t, labels);
	text_str(t, " ");
	text_int(t, value);
	text_str(t, "\n");
}

static void
one(struct text *t, const char *name, const char *type, const char *help,
    int64_t value)
{
	head(t, name, type, help);
	sample(t, name, "", value);
}

static void
write_hooks(struct text *t)
{
	static const char *const labels[METRICS] = {
		[METRIC_STORED] = "{result=\"stored\"}",
		[METRIC_DUPLICATE] = "{result=\"duplicate\"}",
		[METRIC_IGNORED] = "{result=\"ignored\"}",
		[METRIC_UNREADABLE] = "{result=\"unreadable\"}",
		[METRIC_SPOOLED] = "{result=\"spooled\"}",
		[METRIC_LOST] = "{result=\"lost\"}",
		[METRIC_UNCONFIGURED] = "{result=\"unconfigured\"}",
		[METRIC_UNAUTHENTIC] = "{result=\"unauthentic\"}",
		[METRIC_MALFORMED] = "{result=\"malformed\"}",
	};

	head(t, "hooks_total", "counter", "POST requests by what became of "
	    "them.");
	for (int m = 0; m < METRICS; m++)
		sample(t, "hooks_total", labels[m], (int64_t)
		    __atomic_load_n(&counters[m], __ATOMIC_RELAXED));
	head(t, "last_hook_timestamp_seconds", "gauge", "When the last "
	    "authentic hook came; 0 before the first.");
	sample(t, "last_hook_timestamp_seconds", "",
	    __atomic_load_n(&last_hook, __ATOMIC_RELAXED) / 1000);
}

static void
write_census(struct text *t, const struct census *c)
{
	head(t, "outbox_rows", "gauge", "Rows of the outbox that are not "
	    "delivered, by state.");
	sample(t, "outbox_rows", "{state=\"pending\"}", c->pending);
	sample(t, "outbox_rows", "{state=\"unmapped\"}", c->unmapped);
	sample(t, "outbox_rows", "{state=\"acked\"}", c->acked);
	sample(t, "outbox_rows", "{state=\"dead\"}", c->dead);
	one(t, "outbox_oldest_pending_timestamp_seconds", "gauge", "When the "
	    "pending row that is due first was received; 0 for none.",
	    c->oldest_pending / 1000);
	one(t, "wal_bytes", "gauge", "Size of the write-ahead log.",
	    c->wal_bytes);
}

void
metrics_write(struct text *t, const struct writer_status *w,
    const struct spool *spool, const struct census *c)
{
	write_hooks(t);
	one(t, "writer_up", "gauge", "1 while the database takes hooks.",
	    w->fault == FAULT_NONE);
	one(t, "writer_queue", "gauge", "Hooks that wait for a commit now.",
	    w->queued);
	one(t, "writer_commits_total", "counter", "Transactions committed.",
	    (int64_t)w->commits);
	one(t, "writer_rows_total", "counter", "Hooks in these transactions.",
	    (int64_t)w->rows);
	one(t, "writer_failures_total", "counter", "Transactions that "
	    "failed, and attempts to open the database.",
	    (int64_t)w->failures);
	one(t, "spool_files", "gauge", "Hooks that wait in the spool.",
	    (int64_t)spool_waiting(spool));
	one(t, "spool_bad_files", "gauge", "Spool files set aside: they are "
	    "no hooks, or the database refuses them.",
	    (int64_t)spool_bad(spool));
	one(t, "spool_brought_in_total", "counter", "Hooks brought in from "
	    "the spool.", (int64_t)w->brought_in);
	if (c != NULL)
		write_census(t, c);
}
