#include "worker/status.h"

#include <pthread.h>

#include "base/clock.h"
#include "base/timestamp.h"
#include "worker/metrics.h"

/* A count that took longer than SLOW_MS is used again until 20 times as long
 * has passed: so counting takes 1/20 of the time at most. */
#define SLOW_MS		100
#define SLOW_FACTOR	20

enum fault
status_count_backlog(const char *path, struct backlog *b, char why[DB_WHY])
{
	struct db *db;
	enum fault f;

	*b = (struct backlog){ 0 };
	f = store_open(&db, path, DB_READ, why);
	if (f == FAULT_NONE) {
		f = store_count_backlog(db, b);
		db_close(db);
	}
	return f;
}

/* To count millions of rows takes its time: one thread at a time does it. Who
 * asks meanwhile gets the last count (-1: there is none yet), so that no more
 * threads wait for the disk. */
static enum fault
status_backlog(const struct service *s, struct backlog *b)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	/* The lock guards these three: */
	static struct backlog last = { .pending = -1, .unmapped = -1,
	    .dead = -1 };
	static int64_t until;		/* ms, monotonic: `last` is used */
	static bool counting;
	int64_t from = clock_ms(), took;
	char why[DB_WHY];
	enum fault f;
	bool use_last;

	pthread_mutex_lock(&lock);
	use_last = from < until || counting;
	counting |= !use_last;
	*b = last;
	pthread_mutex_unlock(&lock);
	if (use_last)
		return FAULT_NONE;
	f = status_count_backlog(s->db, b, why);
	took = clock_ms() - from;
	pthread_mutex_lock(&lock);
	counting = false;
	if (f == FAULT_NONE) {
		last = *b;
		until = took > SLOW_MS ? from + took + took * SLOW_FACTOR : 0;
	}
	pthread_mutex_unlock(&lock);
	return f;
}

/* Appends a member, of whose name `name` is all up to the colon, with "ok" or
 * the fault. The first fault of all parts becomes *why. */
static void
status_write_part(struct text *t, const char *name, const char *fault,
    const char **why)
{
	text_str(t, name);
	text_json(t, span_of(fault == NULL ? "ok" : fault));
	if (*why == NULL)
		*why = fault;
}

static const char *
status_fault_name(enum fault f)
{
	return f == FAULT_NONE ? NULL : fault_name(f);
}

static void
status_write_count(struct text *t, const char *name, int64_t n)
{
	text_str(t, name);
	if (n < 0)
		text_str(t, "null");
	else
		text_int(t, n);
}

/* A time of ms since 1970, null for 0. */
static void
status_write_time(struct text *t, int64_t ms)
{
	struct timestamp time;

	if (ms > 0 && timestamp_ms(&time, ms))
		text_json(t, span_of(time.iso));
	else
		text_str(t, "null");
}

static struct writer_status
status_writer(const struct service *s)
{
	struct writer_status w = { .fault = FAULT_STUCK };

	if (s->writer != NULL)
		writer_status(s->writer, &w);
	return w;
}

bool
status_alive(void *service)
{
	return !status_writer(service).hangs;
}

/* A file that was set aside is a hook that is not delivered until somebody
 * looks after it: that is a fault, too. */
static const char *
status_spool_fault(struct spool *s)
{
	const char *fault = status_fault_name(spool_check(s));

	return fault == NULL && spool_bad(s) > 0 ? "files-set-aside" : fault;
}

bool
status_ready(struct service *s, struct text *t)
{
	struct writer_status w = status_writer(s);
	struct text parts = { 0 };
	struct backlog b = { 0 };
	const char *why = NULL;

	status_write_part(&parts, ",\"database\":",
	    status_fault_name(status_backlog(s, &b)), &why);
	status_write_part(&parts, ",\"writer\":", status_fault_name(w.fault),
	    &why);
	status_write_part(&parts, ",\"spool\":", status_spool_fault(s->spool),
	    &why);
	keyring_refresh(s->keyring);
	status_write_part(&parts, ",\"secret\":",
	    keyring_count(s->keyring) > 0 ? NULL : "none-configured", &why);
	text_str(t, why == NULL ? "{\"status\":\"ready\"" :
	    "{\"status\":\"unready\"");
	text_span(t, text_view(&parts));
	text_str(t, ",\"backlog\":{");
	status_write_count(t, "\"pending\":", b.pending);
	status_write_count(t, ",\"unmapped\":", b.unmapped);
	status_write_count(t, ",\"dead\":", b.dead);
	status_write_count(t, ",\"queued\":", w.queued);
	status_write_count(t, ",\"spooled\":",
	    (int64_t)spool_depth(s->spool));
	status_write_count(t, ",\"set_aside\":",
	    (int64_t)spool_bad(s->spool));
	text_str(t, "},\"last_hook\":");
	status_write_time(t, metrics_last_hook(&b));
	text_str(t, ",\"why\":");
	if (why == NULL)
		text_str(t, "null");
	else
		text_json(t, span_of(why));
	text_str(t, "}\n");	/* for a terminal */
	t->broken |= parts.broken;
	text_release(&parts);
	return why == NULL;
}

void
status_metrics(struct service *s, struct text *t)
{
	struct writer_status w = status_writer(s);
	struct backlog b;
	bool counted = status_backlog(s, &b) == FAULT_NONE && b.pending >= 0;

	keyring_refresh(s->keyring);
	metrics_write(t, &w, s->spool, s->keyring, counted ? &b : NULL,
	    clock_wall_ms());
}
