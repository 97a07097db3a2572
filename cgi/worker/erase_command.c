#include "worker/erase_command.h"

#include <stdio.h>

#include "base/args.h"
#include "base/log.h"
#include "store/erase.h"

/* Counts the hooks that name the target, in the spool and then in the
 * database; erases them if `really`. */
static enum fault
erase_go_through(struct db *d, const struct options *o,
    const struct erase_target *target, bool really, struct erase_count *c)
{
	enum fault f = erase_spooled(d, o->spool, target, really, c);
	struct erase_place place = { 0 };
	bool end = false;

	while (f == FAULT_NONE && !end)
		f = erase_hooks(d, target, &place, really, c, &end);
	return f;
}

static void
erase_print_plan(const struct erase_count *c)
{
	printf("hooks         %lu\n"
	    "observations  %lu pending, %lu unmapped, %lu acked, "
	    "%lu delivered, %lu dead\n"
	    "spool files   %lu\n", c->hooks, c->pending, c->unmapped,
	    c->acked, c->delivered, c->dead, c->spooled);
	fflush(stdout);
}

/* Whose hooks they were is not logged: that is personal data, too. */
static void
erase_log(const struct options *o, const struct erase_count *c, enum fault f)
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
erase_really(struct db *d, const struct options *o,
    const struct erase_target *target)
{
	struct erase_count c = { 0 };
	enum fault f = erase_go_through(d, o, target, true, &c);
	enum fault left = FAULT_NONE;

	if (f == FAULT_NONE)
		left = erase_traces(d);
	erase_log(o, &c, f);
	if (c.sent.len > 0)
		printf("A sink may have these; they have to be erased there, "
		    "too:\n%.*s", (int)c.sent.len, c.sent.at);
	text_release(&c.sent);
	if (f != FAULT_NONE)
		args_error("it could not be finished: %s", fault_name(f));
	else if (left != FAULT_NONE)
		args_error("copies are left in the write-ahead log: end what "
		    "reads the database, and do this again: %s",
		    fault_name(left));
	return f != FAULT_NONE || left != FAULT_NONE;
}

int
erase_command(const struct options *o)
{
	struct erase_target target = { span_of(o->person),
	    span_of(o->project), { 0 } };
	struct erase_count plan = { 0 };
	char why[DB_WHY];
	struct db *d;
	enum fault f;
	int status = 1;

	if (erase_open(&d, o->serve.db, why) != FAULT_NONE) {
		args_error("%s: %s", o->serve.db, why);
		return 1;
	}
	if ((f = erase_find_names(d, &target)) == FAULT_NONE)
		f = erase_go_through(d, o, &target, false, &plan);
	if (f != FAULT_NONE) {
		args_error("%s: %s", o->serve.db, fault_name(f));
	} else {
		erase_print_plan(&plan);
		/* An earlier run may have left copies in the log. */
		if (plan.hooks + plan.spooled == 0)
			(void)(erase_traces(d) == FAULT_NONE);
		else if (args_confirm(o->yes, "Erase all of this for ever?",
		    "nothing was erased"))
			status = erase_really(d, o, &target);
	}
	text_release(&plan.sent);
	text_release(&target.others);
	db_close(d);
	return status;
}
