/* A checkpoint: moving the pages of the write-ahead log into the database. A
 * second connection does it while the first one holds the write lock.
 *
 * Why so: SQLite 3.7.0 to 3.51.2 can lose a commit that another process makes
 * during a checkpoint (sqlite.org/wal.html, "The WAL-Reset Bug"). While we hold
 * the write lock nobody can commit. Every other connection checkpoints by
 * itself, without that lock, once the log has 1,000 pages (SQLite's default for
 * wal_autocheckpoint): so we keep the log shorter than that. */
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
	int		 kept;		/* in it after the last checkpoint; 0:
					 * all were moved */
	int		 found;		/* in it before the last checkpoint,
					 * moved or not; 0: it was cut */
	struct timespec	 written;	/* when the log was last written to, as
					 * of the last checkpoint */
};

/* Takes over the open connection, which checkpoint_close() closes, also after a
 * fault. */
enum fault	checkpoint_open(struct checkpoint *, sqlite3 *)
		    __attribute__((warn_unused_result));
void		checkpoint_close(struct checkpoint *);

/* Makes every commit of the first connection note how many pages the log has,
 * those that other processes wrote among them. */
void		checkpoint_watch(struct checkpoint *, sqlite3 *first);

/* Whether a checkpoint is due: the log has `most` pages; or, with `look`, it is
 * as long as that on the disk and was written to since the last checkpoint.
 * `path` is the database's. */
bool		checkpoint_due(const struct checkpoint *, int most, bool look,
		    const char *path, int64_t page_bytes);

/* Moves the log's pages into the database. The first connection has to hold the
 * write lock, in a transaction that writes nothing: the log is begun anew only
 * by the next one. FAULT_BUSY: a reader needs some of the pages, they stay. */
enum fault	checkpoint_move(struct checkpoint *, const char *path)
		    __attribute__((warn_unused_result));

/* Moves what is left in the log and cuts it, so that other connections with the
 * same log find it empty. FAULT_BUSY: a reader needs it. */
enum fault	checkpoint_cut(struct checkpoint *)
		    __attribute__((warn_unused_result));

#endif
