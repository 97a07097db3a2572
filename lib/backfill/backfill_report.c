#include "backfill/backfill_report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/timestamp.h"

#define BAR_WIDTH	25

static bool report_bar;	/* the cursor stands behind one */

void
backfill_report_end_bar(void)
{
	if (report_bar)
		putchar('\n');
	report_bar = false;
	fflush(stdout);
}

static void
report_iso(char out[32], int64_t ms)
{
	struct timestamp t;

	(void)timestamp_ms(&t, ms);
	snprintf(out, 32, "%.19sZ", t.iso);
}

void
backfill_report_failures(const struct failures *f)
{
	char from[32], to[32];

	printf("Sentry could not deliver %zu hooks about issues%s,\n"
	    "and %zu of other kinds, which its API does not keep:\n", f->count,
	    f->full ? " (or more: its log was full)" : "", f->others);
	for (size_t i = 0, end; i < f->count; i = end) {
		end = failures_window(f, i);
		report_iso(from, f->at[i]);
		report_iso(to, f->at[end - 1]);
		printf("  %s  %s  %7zu\n", from, to, end - i);
	}
}

void
backfill_report_plan(const struct backfill_options *o,
    const struct ledger_run *run, struct span installation, int64_t oldest)
{
	char since[32], until[32];

	report_iso(since, run->since);
	report_iso(until, run->until);
	printf("window        %s to %s%s\n"
	    "Sentry        %s, organization %s\n"
	    "issues        all that had an event in the last %u days\n"
	    "installation  %.*s\n"
	    "observed      %s%s\n", since, until,
	    run->id > 0 ? ", going on where it was cut" : "", o->base,
	    o->org, o->horizon, (int)installation.len,
	    installation.len > 0 ? installation.at : "",
	    o->observe, o->redact ? ", redacted" : "");
	if (installation.len == 0)
		puts("note: no hook has come so far: it is not known whose "
		    "installation these\nare, and rows of workspace_map that "
		    "name one do not fit");
	if (strncasecmp(o->base, "http://", 7) == 0)
		puts("warning: the token travels in the clear");
	if (oldest > run->since) {
		report_iso(since, oldest);
		printf("warning: the oldest hook that is still here came at "
		    "%s: what came\nbefore and was pruned is filed again\n",
		    since);
	}
	fflush(stdout);
}

void
backfill_report_progress(const struct backfill_count *c)
{
	static uint64_t shown = UINT64_MAX;
	uint64_t all = c->hits > c->issues ? c->hits : c->issues;
	uint64_t percent = all > 0 ? c->issues * 100 / all : 0;

	if (isatty(STDOUT_FILENO)) {
		int filled = (int)(percent * BAR_WIDTH / 100);

		printf("\r[%.*s%*s] %3" PRIu64 "%% %" PRIu64 "/%" PRIu64
		    " issues, %" PRIu64 " missing\033[K", filled,
		    "#########################", BAR_WIDTH - filled, "",
		    percent, c->issues, all, c->missing);
		report_bar = true;
	} else if (percent / 10 != shown) {
		shown = percent / 10;
		printf("%" PRIu64 "%% %" PRIu64 "/%" PRIu64 " issues, %" PRIu64
		    " missing\n", percent, c->issues, all, c->missing);
	}
	fflush(stdout);
}

void
backfill_report_wait(int64_t ms, const char *why)
{
	backfill_report_end_bar();
	printf("waiting %lld s: %s\n", (long long)(ms / 1000), why);
	fflush(stdout);
}

void
backfill_report_result(const struct backfill_count *c, bool dry_run)
{
	backfill_report_end_bar();
	printf("%" PRIu64 " issues, %" PRIu64 " hooks %s\n", c->issues,
	    c->filed, dry_run ? "would be filed" : "filed");
	for (int k = 0; k < BACKFILL_KINDS; k++)
		if (c->kind[k] > 0)
			printf("  issue.%-11s%9" PRIu64 "\n",
			    backfill_kind_name(k), c->kind[k]);
	if (c->vanished > 0)
		printf("note: %" PRIu64 " issues were gone when they were "
		    "asked for\n", c->vanished);
	if (c->refused > 0)
		printf("warning: %" PRIu64 " issues were left out: Sentry "
		    "refuses to show what happened\nto them, or it cannot be "
		    "read\n", c->refused);
	if (c->bare > 0)
		printf("warning: of %" PRIu64 " issues the newest event could "
		    "not be read: their hooks\nmay lack a release\n", c->bare);
	if (c->large > 0)
		printf("warning: %" PRIu64 " hooks are longer than %d bytes "
		    "and not filed\n", c->large, LEDGER_BODY_MAX);
	if (c->hidden > 0)
		printf("warning: of %" PRIu64 " issues Sentry shows the last "
		    "100 activities alone:\nolder ones in the window are not "
		    "known\n", c->hidden);
	if (c->strange > 0)
		printf("warning: %" PRIu64 " answers were of no known form "
		    "and left out\n", c->strange);
	fflush(stdout);
}

