/* Erasing all hooks of one person or project, and what came of them. */
#ifndef ERASE_H
#define ERASE_H

#include "store/db.h"
#include "base/text.h"

/* Whose: one of the two, the other is { NULL, 0 }. A project by its slug or
 * its number; a person as redact_mentions() looks for one. */
struct erase_target {
	struct span	person;
	struct span	project;
};

struct erase_count {
	unsigned long	hooks;
	unsigned long	pending, unmapped, acked, delivered, dead;
	unsigned long	spooled;
	/* Event ids of what a sink may have, earlier ones with them, one a
	 * line. */
	struct text	sent;
};

enum fault	erase_open(struct db **, const char *path, char why[DB_WHY])
		    __attribute__((warn_unused_result));

/* Looks at the next hooks behind *place, which moves on from 0, and erases
 * those that are meant, in one transaction, or only counts them without
 * `really`. *end: there is nothing further. With a project goes what its
 * issues' hooks have taught about releases. */
enum fault	erase_hooks(struct db *, const struct erase_target *,
		    int64_t *place, bool really, struct erase_count *,
		    bool *end) __attribute__((warn_unused_result));

/* The same for all files of the spool at `path`. A worker may bring one in
 * meanwhile: the spool comes first, the database after it. */
enum fault	erase_spooled(const char *path, const struct erase_target *,
		    bool really, struct erase_count *)
		    __attribute__((warn_unused_result));

/* Empties and cuts the write-ahead log, which holds copies of what was erased.
 * FAULT_BUSY: a reader keeps it. */
enum fault	erase_traces(struct db *) __attribute__((warn_unused_result));

#endif
