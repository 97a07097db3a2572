#include "status.h"

#include "metrics.h"

/* By a connection of its own, which never writes. */
static enum fault
census(const struct service *s, struct census *c)
{
	char why[DB_WHY];
	struct db *store;
	enum fault f = store_open(&store, s->db, DB_READ, why);

	if (f == FAULT_NONE) {
		f = store_census(store, c);
		db_close(store);
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
	struct census c;
	bool counted = census(s, &c) == FAULT_NONE;

	if (s->writer != NULL)
		writer_status(s->writer, &w);
	metrics_write(t, &w, s->spool, counted ? &c : NULL);
}
