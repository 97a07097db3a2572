#include "worker/metrics.h"

#include "base/log.h"
#include "base/prometheus.h"

/* The histogram's limits; Sentry waits one second for an answer. */
static const int64_t	limits_us[] = {
	500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 400000,
	500000, 750000, 1000000,
};
#define LIMITS	(sizeof(limits_us) / sizeof(limits_us[0]))

/* All of these are atomic. */
static unsigned long	counters[RESOURCES][METRICS];
static unsigned long	kept[LIMITS + 1];	/* below limits_us[i] */
static int64_t		kept_us;		/* their sum */
static int64_t		last_hook, started;	/* ms */

void
metrics_start(int64_t now_ms)
{
	__atomic_store_n(&started, now_ms, __ATOMIC_RELAXED);
}

void
metrics_count(const struct resource *r, enum metric m)
{
	__atomic_add_fetch(&counters[resource_index(r)][m], 1,
	    __ATOMIC_RELAXED);
}

void
metrics_hook(int64_t now_ms)
{
	__atomic_store_n(&last_hook, now_ms, __ATOMIC_RELAXED);
}

int64_t
metrics_last_hook(const struct backlog *b)
{
	int64_t last = __atomic_load_n(&last_hook, __ATOMIC_RELAXED);

	return b != NULL && b->last_hook > last ? b->last_hook : last;
}

void
metrics_kept(int64_t us)
{
	size_t i = 0;

	while (i < LIMITS && us > limits_us[i])
		i++;
	__atomic_add_fetch(&kept[i], 1, __ATOMIC_RELAXED);
	__atomic_add_fetch(&kept_us, us, __ATOMIC_RELAXED);
}

static void
metrics_write_process(struct text *t)
{
	prometheus_build_info(t, "sentry_webhooks_build_info",
	    db_sqlite_version());
	prometheus_single(t, "process_start_time_seconds", "gauge", "When the "
	    "process began, in seconds since 1970.",
	    (double)__atomic_load_n(&started, __ATOMIC_RELAXED) / 1000);
}

static void
metrics_write_hooks(struct text *t)
{
	static const char *const results[METRICS] = {
		[METRIC_STORED] = "stored",
		[METRIC_IGNORED] = "ignored",
		[METRIC_UNREADABLE] = "unreadable",
		[METRIC_DUPLICATE] = "duplicate",
		[METRIC_DIFFERENT] = "duplicate_differs",
		[METRIC_SPOOLED] = "spooled",
		[METRIC_LOST] = "lost",
		[METRIC_UNCONFIGURED] = "unconfigured",
		[METRIC_UNAUTHENTIC] = "unauthentic",
		[METRIC_MALFORMED] = "malformed",
	};
	static const char name[] = "sentry_webhooks_hooks_total";

	prometheus_head(t, name, "counter", "POST requests by what became of "
	    "them; the last three by the resource that they claim to be "
	    "about.");
	for (unsigned r = 0; r < RESOURCES; r++)
		for (int m = 0; m < METRICS; m++) {
			const struct prometheus_label labels[] = {
				{ "resource", resource_at(r)->name },
				{ "result", results[m] },
			};

			prometheus_sample(t, name, labels, 2,
			    (double)__atomic_load_n(&counters[r][m],
			    __ATOMIC_RELAXED));
		}
}

static void
metrics_write_kept(struct text *t)
{
	static const char name[] = "sentry_webhooks_hook_duration_seconds";
	unsigned long in[LIMITS + 1];
	double limits[LIMITS];

	for (size_t i = 0; i <= LIMITS; i++)
		in[i] = __atomic_load_n(&kept[i], __ATOMIC_RELAXED);
	for (size_t i = 0; i < LIMITS; i++)
		limits[i] = (double)limits_us[i] / 1e6;
	prometheus_head(t, name, "histogram", "From a hook's request until it "
	    "was on disk, in the database or the spool.");
	prometheus_histogram(t, name, limits, LIMITS, in,
	    (double)__atomic_load_n(&kept_us, __ATOMIC_RELAXED) / 1e6);
}

/* Two of one name are one here. */
static void
metrics_write_secrets(struct text *t, struct keyring *keys)
{
	static const char name[] =
	    "sentry_webhooks_secret_last_used_timestamp_seconds";
	char is[SECRET_NAME_MAX + 1], other[SECRET_NAME_MAX + 1];
	int64_t at, last, first;

	prometheus_head(t, name, "gauge", "When a hook was last signed with "
	    "this secret; 0: not since the start.");
	for (size_t i = 0; keyring_secret(keys, i, is, &last); i++) {
		first = 1;
		for (size_t j = 0; keyring_secret(keys, j, other, &at); j++) {
			if (strcmp(other, is) != 0)
				continue;
			first &= j >= i;
			last = at > last ? at : last;
		}
		if (first)
			prometheus_labelled(t, name, "secret", is,
			    (double)last / 1000);
	}
}

static void
metrics_write_writer(struct text *t, const struct writer_status *w)
{
	static const char name[] = "sentry_webhooks_commit_rows";
	unsigned long in[WRITER_BATCHES + 1] = { 0 };
	double limits[WRITER_BATCHES];

	prometheus_single(t, "sentry_webhooks_writer_up", "gauge", "1 while "
	    "the database takes hooks.", w->fault == FAULT_NONE);
	prometheus_single(t, "sentry_webhooks_writer_queued_hooks", "gauge",
	    "Hooks that wait for a commit now.", w->queued);
	prometheus_single(t, "sentry_webhooks_writer_failures_total",
	    "counter", "Transactions that failed, and attempts to open the "
	    "database.", (double)w->failures);
	for (size_t i = 0; i < WRITER_BATCHES; i++) {
		in[i] = w->batches[i];
		limits[i] = (double)(1u << i);
	}
	prometheus_head(t, name, "histogram", "Hooks that shared a commit.");
	prometheus_histogram(t, name, limits, WRITER_BATCHES, in,
	    (double)(w->rows + w->imported));
}

static void
metrics_write_spool(struct text *t, const struct writer_status *w,
    const struct spool *spool)
{
	prometheus_single(t, "sentry_webhooks_spool_files", "gauge", "Hooks "
	    "that wait in the spool.", (double)spool_depth(spool));
	prometheus_single(t, "sentry_webhooks_spool_bad_files", "gauge",
	    "Spool files set aside: they are no hooks, or the database "
	    "refuses them.", (double)spool_bad(spool));
	prometheus_single(t, "sentry_webhooks_spool_brought_in_total",
	    "counter", "Hooks brought in from the spool.",
	    (double)w->imported);
}

static void
metrics_write_backlog(struct text *t, const struct backlog *b, int64_t now)
{
	static const char rows[] = "sentry_webhooks_outbox_rows";
	static const char age[] = "sentry_webhooks_outbox_oldest_age_seconds";
	const struct {
		const char	*name;
		int64_t		 rows, oldest;
	} state[] = {
		{ "pending", b->pending, b->oldest_pending },
		{ "unmapped", b->unmapped, b->oldest_unmapped },
		{ "acked", b->acked, b->oldest_acked },
		{ "dead", b->dead, b->oldest_dead },
	};
	size_t states = sizeof(state) / sizeof(state[0]);

	prometheus_head(t, rows, "gauge", "Rows of the outbox that are not "
	    "delivered, by state.");
	for (size_t i = 0; i < states; i++)
		prometheus_labelled(t, rows, "state", state[i].name,
		    (double)state[i].rows);
	prometheus_head(t, age, "gauge", "How long ago the first of these "
	    "rows was received; 0: there is none.");
	for (size_t i = 0; i < states; i++) {
		int64_t at = state[i].oldest;

		prometheus_labelled(t, age, "state", state[i].name,
		    at == 0 || at > now ? 0 : (double)(now - at) / 1000);
	}
	prometheus_single(t, "sentry_webhooks_wal_bytes", "gauge", "Size of "
	    "the write-ahead log.", (double)b->wal_bytes);
}

void
metrics_write(struct text *t, const struct writer_status *w,
    const struct spool *spool, struct keyring *keys,
    const struct backlog *b, int64_t now_ms)
{
	metrics_write_process(t);
	metrics_write_hooks(t);
	metrics_write_kept(t);
	prometheus_single(t, "sentry_webhooks_last_hook_timestamp_seconds",
	    "gauge", "When the last authentic hook came; 0 before the first.",
	    (double)metrics_last_hook(b) / 1000);
	metrics_write_secrets(t, keys);
	metrics_write_writer(t, w);
	metrics_write_spool(t, w, spool);
	prometheus_single(t, "sentry_webhooks_log_dropped_total", "counter",
	    "Lines of the log that nobody took in time.",
	    (double)log_dropped());
	if (b != NULL)
		metrics_write_backlog(t, b, now_ms);
}
