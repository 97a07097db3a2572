/* Kept hooks, observed again by today's rules: what would come of them, and
 * then the rows of the outbox that do.
 *
 * A run goes through the hooks by their ids: reprocess_next() takes some,
 *  1. reads them, with their rows of the outbox (next_hooks);
 *  2. observes each anew and compares (compare_hook);
 *  3. writes what the options allow, in one short transaction (write_items).
 * A row that somebody else has changed in between is left alone. Whoever runs
 * it a second time finds nothing left to write: that is how a run that was cut
 * goes on. */
#ifndef REPROCESS_H
#define REPROCESS_H

#include "base/text.h"
#include "store/db.h"

/* Which hooks; { NULL, 0 } and 0 select all. */
struct reprocess_selection {
	int64_t		since;		/* received then or later (ms) */
	int64_t		until;		/* received then or earlier (ms) */
	struct span	resource, action;	/* as in `webhook` */
	struct span	project;	/* its slug or number */
	struct span	outcome;	/* as in table webhook */
};

struct reprocess_options {
	const char	*db;
	struct reprocess_selection select;
	struct span	 observe_list;
	struct span	 words;		/* of the selection, for table replay */
	bool		 redact;	/* observe what redact() leaves */
	bool		 write;		/* else only counts */
	bool		 update;	/* replace rows not yet delivered */
	bool		 new_id;	/* and delivered ones, as new events */
};

#define REPROCESS_MEMBERS	64	/* that are counted apart */
#define REPROCESS_MEMBER	48	/* bytes of a name, with its NUL */

struct reprocess_count {
	unsigned long	hooks;		/* that were selected */
	unsigned long	added;		/* get a row */
	unsigned long	waiting;	/* have one that would change: pending,
					 * unmapped or dead */
	unsigned long	tried;		/* of these: a sink may have them */
	unsigned long	delivered;	/* would change: acked or delivered */
	unsigned long	same;		/* have one, and keep it */
	unsigned long	without;	/* get none by today's rules, either */
	unsigned long	redacted;	/* of all: bodies that lack something */
	unsigned long	written;	/* rows, so far */
	/* How often a member of the source event, "metadata.x" for those of
	 * its metadata, or a column differs in rows that would change. */
	unsigned	members;
	struct {
		char		name[REPROCESS_MEMBER];
		unsigned long	count;
	} member[REPROCESS_MEMBERS];
};

struct reprocess;

/* Opens the database that a worker made, beside it. On a fault *r is NULL and
 * `why` says in a line what is wrong. What the options point to outlives it. */
enum fault	reprocess_open(struct reprocess **r,
		    const struct reprocess_options *, char why[DB_WHY])
		    __attribute__((warn_unused_result));
void		reprocess_close(struct reprocess *);

/* Goes on by some hooks, and adds to the counts. *end: the hooks that were
 * there when it was opened are done. FAULT_BUSY: another process has had the
 * write lock for seconds. After a fault what was written stays. */
enum fault	reprocess_next(struct reprocess *, struct reprocess_count *,
		    bool *end) __attribute__((warn_unused_result));

/* How far it has come: ids that were looked at, of those there are. */
int64_t		reprocess_done(const struct reprocess *, int64_t *all);

#endif
