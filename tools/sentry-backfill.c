/* sentry-backfill: asks Sentry what happened, and files the hooks that never
 * came.
 *
 * 1. backfill_options_read() reads the command line and the token.
 * 2. open_and_run() opens the database and the API, and finds out whose hooks
 *    these are.
 * 3. run_as_planned() looks for a run that was cut: that one goes on.
 * 4. choose_window() takes the window from the options, or from Sentry's own
 *    log of hooks that it could not deliver.
 * 5. args_confirm(), once the plan is shown.
 * 6. run_window(). */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backfill/backfill.h"
#include "backfill/backfill_options.h"
#include "backfill/backfill_report.h"
#include "base/args.h"
#include "base/clock.h"
#include "base/environment.h"
#include "base/process_guard.h"

#define PATIENCE_S	12	/* from a signal to the end */
#define UNTIL_LAG_MS	120000	/* younger hooks may be on their way */
#define BEFORE_MS	120000	/* a change is older than its failed hook */
#define RESUME_MS	86400000	/* a cut run that is older is left */
#define REACHES_MS	300000	/* by less than this no window is longer */

static const volatile sig_atomic_t *stop;

/* The exit status of what did not work out. */
static int
tell_refusal(const struct backfill_options *o, enum backfill_result r,
    const char *why)
{
	backfill_report_end_bar();
	args_error("%s%s", why, r != BACKFILL_LATER ? "" : o->dry_run ?
	    "; the same command looks again, from the beginning" :
	    "; the same command goes on where it was");
	return r == BACKFILL_LATER ? EXIT_TEMPFAIL : 1;
}

static int
tell_database_fault(const struct backfill_options *o, enum fault f,
    const char *why)
{
	backfill_report_end_bar();
	args_error("%s: %s (%s)", o->db, fault_name(f), why);
	return f == FAULT_BUSY ? EXIT_TEMPFAIL : 1;
}

/* ---- the window ---- */

/* From the oldest failure that no run of this selection has covered; where the
 * log was full, from the last hook that came before it. 0: there is none. */
static enum fault
since_failures(struct ledger *l, const struct failures *failures,
    const char *selection, int64_t *since)
{
	enum fault f = FAULT_NONE;
	int64_t before = 0;
	bool covered = true;
	size_t i;

	*since = 0;
	for (i = 0; i < failures->count && covered && f == FAULT_NONE; i++)
		f = ledger_covered(l, selection, failures->at[i], &covered);
	if (f != FAULT_NONE || covered)
		return f;
	*since = failures->at[i - 1] - BEFORE_MS;
	if (failures->full)
		f = ledger_last_before(l, *since, &before);
	if (before > 0)
		*since = before - BEFORE_MS;
	return f;
}

/* *none: nothing has failed that was not fetched. */
static int
choose_window(struct backfill *b, const struct backfill_options *o,
    const char *selection, struct ledger_run *run, bool *none)
{
	static struct failures failures;
	char why[BACKFILL_WHY];
	enum backfill_result r;
	enum fault f = FAULT_NONE;

	*none = false;
	run->since = o->since_ms;
	run->until = o->until_ms > 0 ? o->until_ms :
	    clock_wall_ms() - UNTIL_LAG_MS;
	if (o->app != NULL) {
		r = backfill_failures(b, o->app, &failures, why);
		if (r != BACKFILL_DONE)
			return tell_refusal(o, r, why);
		backfill_report_failures(&failures);
	}
	if (o->is_auto)
		f = since_failures(b->ledger, &failures, selection,
		    &run->since);
	if (f != FAULT_NONE)
		return tell_database_fault(o, f, ledger_why(b->ledger));
	*none = run->since == 0 || (o->is_auto && run->since >= run->until);
	if (!*none && run->since >= run->until)
		args_usage("the window is empty: --until (by default two "
		    "minutes ago) is not behind --since");
	return 0;
}

/* ---- the run ---- */

/* *incomplete: it is done, but something had to be left out. */
static int
run_window(struct backfill *b, struct ledger_run *run, const char *selection,
    const struct backfill_options *o, bool *incomplete)
{
	char why[BACKFILL_WHY];
	enum backfill_result r;
	enum fault f = FAULT_NONE;

	b->count = (struct backfill_count){ 0 };
	if (!o->dry_run && run->id == 0)
		f = ledger_begin_run(b->ledger, selection, run);
	if (f != FAULT_NONE)
		return tell_database_fault(o, f, ledger_why(b->ledger));
	r = backfill_run(b, run, why);
	if (r == BACKFILL_DONE) {
		backfill_report_result(&b->count, o->dry_run);
		*incomplete |= b->count.refused + b->count.bare +
		    b->count.large > 0;
		return 0;
	}
	/* Where pages were wrong, so may be the place: from the beginning. A
	 * database that fails here has failed before: one line is enough. */
	if (r == BACKFILL_FAILED && run->id > 0) {
		run->list = 0;
		run->cursor[0] = '\0';
		(void)ledger_save_run(b->ledger, run, false);
	}
	return tell_refusal(o, r, why);
}

/* A run that was cut goes on, in its own window; the new one is next where it
 * reaches further. */
static int
run_as_planned(struct backfill *b, const struct backfill_options *o)
{
	struct ledger_run run = { 0 }, cut = { 0 };
	char selection[BACKFILL_SELECTION];
	bool found = false, incomplete = false, none;
	int64_t oldest = 0;
	enum fault f = FAULT_NONE;
	int status;

	backfill_options_selection(o, selection);
	if (!o->dry_run)
		f = ledger_find_run(b->ledger, selection,
		    clock_wall_ms() - RESUME_MS, &cut, &found);
	if (f != FAULT_NONE)
		return tell_database_fault(o, f, ledger_why(b->ledger));
	if ((status = choose_window(b, o, selection, &run, &none)) != 0)
		return status;
	if (none && !found) {
		puts("nothing has failed that was not fetched");
		return 0;
	}
	if ((f = ledger_oldest(b->ledger, &oldest)) != FAULT_NONE)
		return tell_database_fault(o, f, ledger_why(b->ledger));
	backfill_report_plan(o, found ? &cut : &run,
	    ledger_installation(b->ledger), oldest);
	if (!o->dry_run && !args_confirm(o->yes, "Fetch and file what never "
	    "came?", "nothing was fetched"))
		return 1;
	if (found) {
		status = run_window(b, &cut, selection, o, &incomplete);
		if (status == 0 && !none &&
		    run.until - cut.until >= REACHES_MS)
			found = false;
	}
	if (!found)
		status = run_window(b, &run, selection, o, &incomplete);
	return status == 0 && incomplete ? 1 : status;
}

static int
open_and_run(const struct backfill_options *o)
{
	struct api_config config = { .base = o->base, .token = o->token,
	    .ca = o->ca, .timeout_s = o->timeout,
	    .stop = stop,
	    .waits = backfill_report_wait };
	struct ledger_rules rules = { o->observe, o->redact,
	    span_of(o->installation) };
	struct backfill b = { .org = o->org, .horizon_days = o->horizon,
	    .dry_run = o->dry_run, .progress = backfill_report_progress };
	char why[LEDGER_WHY];
	bool several;
	enum fault f;
	int status = 1;

	if (access(o->db, F_OK) != 0) {
		args_error("%s: %s%s", o->db, strerror(errno),
		    errno == ENOENT ? "; sentry-webhooks makes it" : "");
		return 1;
	}
	if ((f = ledger_open(&b.ledger, o->db, &rules, why)) != FAULT_NONE)
		return tell_database_fault(o, f, why);
	if ((b.api = api_open(&config)) == NULL)
		args_error("out of memory");
	else if ((f = ledger_find_installation(b.ledger, &several)) !=
	    FAULT_NONE)
		status = tell_database_fault(o, f, ledger_why(b.ledger));
	else if (several)
		args_error("hooks of several installations came of late: "
		    "--installation says which one this is");
	else
		status = run_as_planned(&b, o);
	api_close(b.api);
	ledger_close(b.ledger);
	return status;
}

int
main(int argc, char *argv[])
{
	static struct backfill_options o;
	int status;

	process_guard_cores();
	backfill_options_read(&o, argc, argv);
	stop = process_guard_signals(PATIENCE_S, EXIT_TEMPFAIL);
	umask(0027);
	environment_warn_unknown();
	status = open_and_run(&o);
	free(o.token);
	if (status == 0 && (fflush(stdout) != 0 || ferror(stdout) != 0)) {
		args_error("standard output takes nothing: not all was said");
		status = 1;
	}
	return status;
}
