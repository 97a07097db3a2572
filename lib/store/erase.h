/* Erasing all hooks of one person or project, with their rows of the outbox. */
#ifndef ERASE_H
#define ERASE_H

#include "store/db.h"
#include "base/text.h"

/* Whose hooks. One of the first two is set, the other is { NULL, 0 }. */
struct erase_target {
	struct span	person;		/* as redact_mentions() looks for one */
	struct span	project;	/* its slug or its number */
	struct text	others;		/* erase_find_names(); freed by the
					 * caller */
};

/* How far erase_hooks() is. */
struct erase_place {
	bool		issues_done;
	int64_t		webhook_id;
};

/* What was erased, or would be. */
struct erase_count {
	unsigned long	hooks;		/* rows of webhook */
	unsigned long	pending, unmapped, acked, delivered, dead;
	unsigned long	spooled;	/* files of the spool */
	struct text	sent;		/* event ids that a sink may have, also
					 * those before a replay; one a line */
};

/* Opens the database at `path` (db.h). What is deleted through this connection
 * is overwritten in the file. */
enum fault	erase_open(struct db **, const char *path, char why[DB_WHY])
		    __attribute__((warn_unused_result));

/* Finds the other names that rows of the outbox have for the project: the
 * numbers of a slug, the slugs of a number. A hook is the project's if it has
 * the name that was given; if its number is among the others, or its slug
 * where it has no number; if it names no project but an issue whose rows do; or
 * if it cannot be read, and one of the names is a word of it (a number only if
 * it has six digits). */
enum fault	erase_find_names(struct db *, struct erase_target *)
		    __attribute__((warn_unused_result));

/* Looks at the next hooks behind the place, which moves on (start with { 0 }).
 * With `really` it erases those of the target, in one transaction; without it
 * only counts them. *end: there are no further hooks. For a project it also
 * erases the releases that are noted for the issues of its hooks. */
enum fault	erase_hooks(struct db *, const struct erase_target *,
		    struct erase_place *, bool really, struct erase_count *,
		    bool *end) __attribute__((warn_unused_result));

/* The same for all files of the spool at `path`. To be called before
 * erase_hooks(): a worker may import a file at any time. */
enum fault	erase_spooled(struct db *, const char *path,
		    const struct erase_target *, bool really,
		    struct erase_count *) __attribute__((warn_unused_result));

/* Empties and cuts the write-ahead log, which holds copies of erased rows.
 * FAULT_BUSY: a reader keeps it. */
enum fault	erase_traces(struct db *) __attribute__((warn_unused_result));

#endif
