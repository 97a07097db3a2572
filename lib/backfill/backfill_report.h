/* What sentry-backfill says on standard output. */
#ifndef BACKFILL_REPORT_H
#define BACKFILL_REPORT_H

#include "backfill/backfill.h"
#include "backfill/backfill_options.h"

void	backfill_report_failures(const struct failures *);
/* `oldest` is when the oldest hook came that is there, in ms since 1970. */
void	backfill_report_plan(const struct backfill_options *,
	    const struct ledger_run *, struct span installation,
	    int64_t oldest);
void	backfill_report_progress(const struct backfill_count *);
/* Before anything else is said. */
void	backfill_report_end_bar(void);
void	backfill_report_wait(int64_t ms, const char *why);
void	backfill_report_result(const struct backfill_count *, bool dry_run);

#endif
