#include "status.h"

#include <time.h>

#include "metrics.h"

#define SLOW_MS		100	/* a census that takes longer is kept, */
#define SLOW_SHARE	20	/* so that it takes 1/20 of the time at most */

static int64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void
status_start(void)
{
	metrics_start(now_ms());
}

/* By a connection of its own, which never writes. */
static enum fault
count(const struct service *s, struct census *c)
{
	char why[DB_WHY];
	struct db *store;
	enum fault f;

	*c = (struct census){ 0 };
	f = store_open(&store, s->db, DB_READ, why);

	if (f == FAULT_NONE) {
		f = store_census(store, c);
		db_close(store);
	}
	return f;
}

/* To count millions of rows takes its time: not for everyone who asks. */
static enum fault
census(const struct service *s, struct census *c)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static struct census last;	/* guarded, both */
	static int64_t until;		/* ms, monotonic */
	int64_t from = intake_now(), took;
	enum fault f;
	bool good;

	pthread_mutex_lock(&lock);
	good = from < until;
	*c = last;
	pthread_mutex_unlock(&lock);
	if (good)
		return FAULT_NONE;
	f = count(s, c);
	took = intake_now() - from;
	if (f == FAULT_NONE && took > SLOW_MS) {
		pthread_mutex_lock(&lock);
		last = *c;
		until = from + took + took * SLOW_SHARE;
		pthread_mutex_unlock(&lock);
	}
	return f;
}

static size_t
secrets_now(struct service *s)
{
	struct key_loan keys;
	size_t n;

	keyring_borrow(s->keyring, &keys);
	n = key_loan_count(&keys);
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
backlog(struct text *t, const char *name, int64_t n)
{
	text_str(t, t->at[t->len - 1] == '{' ? "\"" : ",\"");
	text_str(t, name);
	text_str(t, "\":");
	text_int(t, n);
}

bool
status_ready(struct service *s, struct text *t)
{
	struct writer_status w = { .fault = FAULT_STUCK };
	struct text parts = { 0 };
	struct census c = { 0 };
	const char *why = NULL;

	if (s->writer != NULL)
		writer_status(s->writer, &w);
	part(&parts, "database", name_of(census(s, &c)), &why);
	part(&parts, "writer", name_of(w.fault), &why);
	part(&parts, "spool", name_of(spool_check(s->spool)), &why);
	part(&parts, "secret", secrets_now(s) > 0 ? NULL : "none-configured",
	    &why);
	text_str(t, why == NULL ? "{\"status\":\"ready\"" :
	    "{\"status\":\"unready\"");
	text_span(t, text_view(&parts));
	text_str(t, ",\"backlog\":{");
	backlog(t, "pending", c.pending);
	backlog(t, "unmapped", c.unmapped);
	backlog(t, "dead", c.dead);
	backlog(t, "queued", w.queued);
	backlog(t, "spooled", (int64_t)spool_waiting(s->spool));
	text_str(t, "},\"why\":");
	if (why == NULL)
		text_str(t, "null");
	else
		text_json(t, span_of(why));
	text_str(t, "}");
	t->broken |= parts.broken;
	text_release(&parts);
	return why == NULL;
}

void
status_metrics(struct service *s, struct text *t)
{
	struct writer_status w = { .fault = FAULT_STUCK };
	struct key_loan keys;
	struct census c;
	bool counted = census(s, &c) == FAULT_NONE;

	if (s->writer != NULL)
		writer_status(s->writer, &w);
	keyring_borrow(s->keyring, &keys);
	metrics_write(t, &w, s->spool, &keys, counted ? &c : NULL, now_ms());
	keyring_release(&keys);
}
