/* From Sentry's API into the database: what happened in a window and never
 * came. */
#ifndef BACKFILL_H
#define BACKFILL_H

#include "backfill/api.h"
#include "backfill/failures.h"
#include "backfill/ledger.h"

#define BACKFILL_WHY	512

enum backfill_kind {
	BACKFILL_CREATED, BACKFILL_RESOLVED, BACKFILL_UNRESOLVED,
	BACKFILL_IGNORED, BACKFILL_ASSIGNED,
	BACKFILL_KINDS
};
const char	*backfill_kind_name(enum backfill_kind);

struct backfill_count {
	uint64_t	issues;		/* looked at */
	uint64_t	hits;		/* of how many, as Sentry counts */
	uint64_t	missing;	/* hooks that did not come */
	uint64_t	filed;		/* or would be, in a dry run; and of */
	uint64_t	kind[BACKFILL_KINDS];	/* which kinds */
	uint64_t	refused;	/* issues that Sentry does not show */
	uint64_t	bare;		/* events that it does not show */
	uint64_t	large;		/* hooks that are too large */
	uint64_t	vanished;	/* issues that were gone then; */
	uint64_t	shown;		/* and those of which we know more */
	unsigned	broken;		/* in a row: Sentry failed for each */
	uint64_t	hidden;		/* with activities that are not shown */
	uint64_t	strange;	/* answers that are of no known form */
};

struct backfill {
	struct api	*api;
	struct ledger	*ledger;
	const char	*org;
	unsigned	 horizon_days;	/* of issues that had an event */
	bool		 dry_run;	/* file nothing */
	struct backfill_count	count;
	void		(*progress)(const struct backfill_count *);
};

enum backfill_result {
	BACKFILL_DONE,
	BACKFILL_LATER,		/* cut, and can go on: by Sentry, or a stop */
	BACKFILL_FAILED
};

/* Reads the log of failed hooks of an app. */
enum backfill_result	backfill_failures(struct backfill *, const char *app,
			    struct failures *, char why[BACKFILL_WHY])
			    __attribute__((warn_unused_result));

/* Goes through all issues, from where the run is to the end, and keeps with the
 * run how far it is. An issue that cannot be read is counted, and the others go
 * on. */
enum backfill_result	backfill_run(struct backfill *, struct ledger_run *,
			    char why[BACKFILL_WHY])
			    __attribute__((warn_unused_result));

#endif
