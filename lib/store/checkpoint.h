/* Moving what the write-ahead log holds into the database: a second connection
 * does it, while the first one holds the write lock.
 *
 * SQLite 3.7.0 to 3.51.2 can lose a commit that is made in the instant of a
 * checkpoint: with the lock held nobody can commit. And from 1,000 pages on
 * everybody else's connection begins to checkpoint, whenever it likes: the log
 * is kept shorter than that. */
#ifndef CHECKPOINT_H
#define CHECKPOINT_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include <sqlite3.h>

#include "base/fault.h"

struct checkpoint {
	sqlite3		*db;		/* the second connection */
	int		 pages;		/* in the log after our last commit */
	int		 tried;		/* the same at the last, vain, one */
	struct timespec	 written;	/* the log, at the last that was not */
};

/* Takes over an open connection to the file, also when it fails. */
enum fault	checkpoint_open(struct checkpoint *, sqlite3 *)
		    __attribute__((warn_unused_result));
void		checkpoint_close(struct checkpoint *);

/* Counts the log's pages after each commit of `first`, others' with them. */
void		checkpoint_watch(struct checkpoint *, sqlite3 *first);

/* Whether it is time: when the log has `most` pages, or, with `look`, when it
 * is as long as that on the disk and others have written to it. `path` is the
 * database's. */
bool		checkpoint_due(const struct checkpoint *, int most, bool look,
		    const char *path, int64_t page_bytes);

/* With the write lock held by the first connection, in a transaction of its
 * own that writes nothing: only what begins after it begins the log anew.
 * FAULT_BUSY: some of it has to stay, since somebody reads it. */
enum fault	checkpoint_move(struct checkpoint *, const char *path)
		    __attribute__((warn_unused_result));

#endif
