#include "worker/erase_command.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "store/erase.h"
#include "base/log.h"

static int
fail(const char *what, const char *why)
{
	fprintf(stderr, "sentry-webhooks: %s: %s\n", what, why);
	return 1;
}

/* Through the spool and then the database. */
static enum fault
go_through(struct db *d, const struct options *o,
    const struct erase_target *wish, bool really, struct erase_count *c)
{
	enum fault f = erase_spooled(o->spool, wish, really, c);
	int64_t place = 0;
	bool end = false;

	while (f == FAULT_NONE && !end)
		f = erase_hooks(d, wish, &place, really, c, &end);
	return f;
}

static void
show_plan(const struct erase_count *c)
{
	printf("hooks         %lu\n"
	    "observations  %lu pending, %lu unmapped, %lu acked, "
	    "%lu delivered, %lu dead\n"
	    "spool files   %lu\n", c->hooks, c->pending, c->unmapped,
	    c->acked, c->delivered, c->dead, c->spooled);
	fflush(stdout);
}

/* A plan is not enough: somebody has to say yes. */
static bool
agreed(const struct options *o)
{
	char line[16] = "";

	if (o->yes)
		return true;
	if (!isatty(STDIN_FILENO)) {
		fputs("sentry-webhooks: nothing was erased: say --yes\n",
		    stderr);
		return false;
	}
	printf("Erase all of this for ever? Type yes: ");
	fflush(stdout);
	if (fgets(line, sizeof(line), stdin) != NULL &&
	    strcmp(line, "yes\n") == 0)
		return true;
	fputs("sentry-webhooks: nothing was erased\n", stderr);
	return false;
}

/* Who it was is said nowhere. */
static void
audit(const struct options *o, const struct erase_count *c, enum fault f)
{
	struct log l;

	log_begin(&l, f == FAULT_NONE ? "info" : "error", "erased");
	log_str(&l, "what", o->person != NULL ? "person" : "project");
	log_int(&l, "hooks", (int64_t)c->hooks);
	log_int(&l, "pending", (int64_t)c->pending);
	log_int(&l, "unmapped", (int64_t)c->unmapped);
	log_int(&l, "acked", (int64_t)c->acked);
	log_int(&l, "delivered", (int64_t)c->delivered);
	log_int(&l, "dead", (int64_t)c->dead);
	log_int(&l, "spooled", (int64_t)c->spooled);
	if (f != FAULT_NONE)
		log_str(&l, "fault", fault_name(f));
	log_end(&l);
}

static int
erase_all(struct db *d, const struct options *o,
    const struct erase_target *wish)
{
	struct erase_count c = { 0 };
	enum fault f = go_through(d, o, wish, true, &c), left = FAULT_NONE;

	if (f == FAULT_NONE)
		left = erase_traces(d);
	audit(o, &c, f);
	if (c.sent.len > 0)
		printf("A sink may have these; they have to be erased there, "
		    "too:\n%.*s", (int)c.sent.len, c.sent.at);
	text_release(&c.sent);
	if (f != FAULT_NONE)
		return fail("it could not be finished", fault_name(f));
	if (left != FAULT_NONE)
		return fail("copies are left in the write-ahead log: end what "
		    "reads the database, and do this again", fault_name(left));
	return 0;
}

int
erase_command(const struct options *o)
{
	struct erase_target wish = { span_of(o->person), span_of(o->project) };
	struct erase_count plan = { 0 };
	char why[DB_WHY];
	struct db *d;
	enum fault f;
	int status = 1;

	if (erase_open(&d, o->db, why) != FAULT_NONE)
		return fail(o->db, why);
	f = go_through(d, o, &wish, false, &plan);
	if (f != FAULT_NONE) {
		(void)fail(o->db, fault_name(f));
	} else {
		show_plan(&plan);
		/* An earlier run may have left the log as it was. */
		if (plan.hooks + plan.spooled == 0)
			(void)(erase_traces(d) == FAULT_NONE);
		else if (agreed(o))
			status = erase_all(d, o, &wish);
	}
	text_release(&plan.sent);
	db_close(d);
	return status;
}
