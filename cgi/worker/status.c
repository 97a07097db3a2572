#include "worker/status.h"

#include <pthread.h>

#include "base/clock.h"
#include "worker/metrics.h"

#define SLOW_MS		100	/* a census that takes longer is kept, */
#define SLOW_SHARE	20	/* so that it takes 1/20 of the time at most */

void
status_start(void)
{
	metrics_start(clock_wall_ms());
}

/* By a connection of its own, which never writes. */
static enum fault
count(const struct service *s, struct backlog *c)
{
	char why[DB_WHY];
	struct db *store;
	enum fault f;

	*c = (struct backlog){ 0 };
	f = store_open(&store, s->db, DB_READ, why);

	if (f == FAULT_NONE) {
		f = store_count_backlog(store, c);
		db_close(store);
	}
	return f;
}

/* To count millions of rows takes its time: one at a time does, and not for
 * everyone who asks. The others get what was counted before (-1: nothing yet),
 * so that no thread waits for another one's disk. */
static enum fault
backlog_of(const struct service *s, struct backlog *c)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	/* Guarded, all of them: */
	static struct backlog last = { .pending = -1, .unmapped = -1,
	    .dead = -1 };
	static int64_t until;		/* ms, monotonic */
	static bool counting;
	int64_t from = clock_ms(), took;
	enum fault f;
	bool good;

	pthread_mutex_lock(&lock);
	good = from < until || counting;
	counting |= !good;
	*c = last;
	pthread_mutex_unlock(&lock);
	if (good)
		return FAULT_NONE;
	f = count(s, c);
	took = clock_ms() - from;
	pthread_mutex_lock(&lock);
	counting = false;
	if (f == FAULT_NONE) {
		last = *c;
		until = took > SLOW_MS ? from + took + took * SLOW_SHARE : 0;
	}
	pthread_mutex_unlock(&lock);
	return f;
}

static size_t
secrets_now(struct service *s)
{
	struct keyring_loan keys;
	size_t n;

	keyring_borrow(s->keyring, &keys);
	n = keyring_loan_count(&keys);
	keyring_release(&keys);
	return n;
}

/* `,"name":"ok"`, or with the first fault of a part that does not work, which
 * also becomes *why. */
static void
part(struct text *t, const char *name, const char *fault, const char **why)
{
	text_str(t, ",\"");
	text_str(t, name);
	text_str(t, "\":");
	text_json(t, span_of(fault == NULL ? "ok" : fault));
	if (*why == NULL)
		*why = fault;
}

static const char *
name_of(enum fault f)
{
	return f == FAULT_NONE ? NULL : fault_name(f);
}

static void
write_count(struct text *t, const char *name, int64_t n)
{
	text_str(t, t->at[t->len - 1] == '{' ? "\"" : ",\"");
	text_str(t, name);
	text_str(t, "\":");
	if (n < 0)
		text_str(t, "null");
	else
		text_int(t, n);
}

static struct writer_status
writer_now(const struct service *s)
{
	struct writer_status w = { .fault = FAULT_STUCK };

	if (s->writer != NULL)
		writer_status(s->writer, &w);
	return w;
}

bool
status_moves(void *service)
{
	return !writer_now(service).hangs;
}

/* A file that was set aside is a hook that nobody gets until somebody looks. */
static const char *
spool_fault(struct spool *s)
{
	enum fault f = spool_check(s);

	return f != FAULT_NONE ? fault_name(f) : spool_bad(s) > 0 ?
	    "files-set-aside" : NULL;
}

bool
status_ready(struct service *s, struct text *t)
{
	struct writer_status w = writer_now(s);
	struct text parts = { 0 };
	struct backlog c = { 0 };
	const char *why = NULL;

	part(&parts, "database", name_of(backlog_of(s, &c)), &why);
	part(&parts, "writer", name_of(w.fault), &why);
	part(&parts, "spool", spool_fault(s->spool), &why);
	part(&parts, "secret", secrets_now(s) > 0 ? NULL : "none-configured",
	    &why);
	text_str(t, why == NULL ? "{\"status\":\"ready\"" :
	    "{\"status\":\"unready\"");
	text_span(t, text_view(&parts));
	text_str(t, ",\"backlog\":{");
	write_count(t, "pending", c.pending);
	write_count(t, "unmapped", c.unmapped);
	write_count(t, "dead", c.dead);
	write_count(t, "queued", w.queued);
	write_count(t, "spooled", (int64_t)spool_depth(s->spool));
	write_count(t, "set_aside", (int64_t)spool_bad(s->spool));
	text_str(t, "},\"why\":");
	if (why == NULL)
		text_str(t, "null");
	else
		text_json(t, span_of(why));
	text_str(t, "}\n");	/* for who reads it on a terminal */
	t->broken |= parts.broken;
	text_release(&parts);
	return why == NULL;
}

void
status_metrics(struct service *s, struct text *t)
{
	struct writer_status w = writer_now(s);
	struct keyring_loan keys;
	struct backlog c;
	bool counted = backlog_of(s, &c) == FAULT_NONE && c.pending >= 0;

	keyring_borrow(s->keyring, &keys);
	metrics_write(
	    t, &w, s->spool, &keys, counted ? &c : NULL, clock_wall_ms());
	keyring_release(&keys);
}
