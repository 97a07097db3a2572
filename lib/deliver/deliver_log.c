#include "deliver/deliver_log.h"

#include <stdio.h>

#include "base/log.h"

#define SAME_BYTES	12	/* "HTTP 401: no", "Couldn't con" */

void
deliver_log_database(struct deliver_log *d, enum fault f, const char *why)
{
	struct log l;

	if (f == d->fault)
		return;
	d->fault = f;
	if (f == FAULT_NONE) {
		log_say("info", "database-recovered", "fates are written");
		return;
	}
	log_begin(&l, "error", "database-fault");
	log_str(&l, "fault", fault_name(f));
	log_str(&l, "why", why);
	log_end(&l);
}

void
deliver_log_sink(struct deliver_log *d, const char *sink, const char *why)
{
	bool over = why[0] == '\0';
	struct log l;

	if (strncmp(d->sink_error, why, SAME_BYTES) == 0)
		return;
	snprintf(d->sink_error, sizeof(d->sink_error), "%s", why);
	log_begin(&l, over ? "info" : "error",
	    over ? "sink-recovered" : "sink-trouble");
	log_str(&l, "sink", sink);
	if (!over)
		log_str(&l, "why", why);
	log_end(&l);
}

void
deliver_log_dead(const struct row *r)
{
	struct log l;

	log_begin(&l, "warning", "dead");
	log_int(&l, "id", r->id);
	log_str(&l, "event_id", r->event_id);
	log_int(&l, "attempts", r->attempts + 1);
	log_str(&l, "why", r->why);
	log_end(&l);
}
