/* The database, its transactions and statements: the only door to SQLite. */
#ifndef DB_H
#define DB_H

#include <stdint.h>

#include "base/fault.h"
#include "base/span.h"

/* A connection; one thread at a time. */
struct db;

enum db_mode {
	DB_OWN,		/* creates and migrates; checkpoints */
	DB_WRITE,	/* changes rows of what is there */
	DB_READ		/* never changes anything */
};

#define DB_STATEMENTS_MAX	24
#define DB_WHY			256

/* Opens the database at `path` and prepares `count` statements, which are
 * addressed by index from then on. On a fault *db is NULL and `why` says in a
 * line what is wrong. */
enum fault	db_open(struct db **db, const char *path, enum db_mode,
		    const char *const *statements, unsigned count,
		    char why[DB_WHY]) __attribute__((warn_unused_result));
/* In order: of an owner's file nothing is left in the log if nobody else has
 * it open, and then the log goes, too. */
void		db_close(struct db *);
/* After a fault: nothing of it is written or removed any more. */
void		db_abandon(struct db *);

/* SQLite's words for the last fault; until the next call on db. */
const char	*db_why(const struct db *);

/* SQLite's version, as in "3.40.1". */
const char	*db_sqlite_version(void);

/* A transaction. db_begin() waits some 50 ms for another writer and says
 * FAULT_BUSY then. With the lock held, and nothing written yet, it looks whose
 * files these are: FAULT_GONE when a path no longer leads to the one that is
 * open, or when the database is shorter than its own header says. After any
 * other fault but FAULT_REFUSED roll back, close and open anew: after a failed
 * sync nothing in memory may be trusted. A commit that says FAULT_NONE is on
 * stable storage (of DB_WRITE: is taken back by a power cut at most). */
enum fault	db_begin(struct db *) __attribute__((warn_unused_result));
enum fault	db_commit(struct db *) __attribute__((warn_unused_result));
void		db_rollback(struct db *);

/* Whether the files are still those that were opened, now and without a lock:
 * FAULT_GONE if not. */
enum fault	db_look(struct db *) __attribute__((warn_unused_result));

/* Between transactions, cheap when there is little to do: moves what the log
 * has collected into the database while nobody can commit. An owner does so
 * soon enough for the log to stay below SQLite's 1,000 pages, at which others'
 * connections would begin; DB_WRITE only where no owner did. `look` at what
 * others have written, too. */
enum fault	db_checkpoint(struct db *, bool look)
		    __attribute__((warn_unused_result));
/* All of it, or FAULT_BUSY: a reader needs the log as it is, or another
 * process does not let go of the lock. */
enum fault	db_empty_log(struct db *) __attribute__((warn_unused_result));
/* The same for files that are gone (FAULT_GONE), wherever they are by now.
 * Then nothing is left of them at their path: db_abandon() is next. */
enum fault	db_retire(struct db *) __attribute__((warn_unused_result));
int64_t		db_wal_bytes(const struct db *);

/* Empties the log and cuts it, so that no copy of what was deleted is left in
 * it. FAULT_BUSY: as for db_empty_log(). */
enum fault	db_wipe_log(struct db *) __attribute__((warn_unused_result));

/* Reads all of it: FAULT_CORRUPT if anything is not as it should be. */
enum fault	db_look_through(struct db *)
		    __attribute__((warn_unused_result));

/* Within a transaction: gives up to `pages` free pages back to the disk. */
enum fault	db_shrink(struct db *, unsigned pages)
		    __attribute__((warn_unused_result));

/* A statement's parameters, counted from 1. Bytes must live until it is run
 * or finished; { NULL, 0 } is NULL. */
void		db_bind_text(struct db *, unsigned statement, int,
		    struct span);
void		db_bind_blob(struct db *, unsigned statement, int,
		    struct span);
void		db_bind_int(struct db *, unsigned statement, int, int64_t);

/* Runs a statement that returns no row. */
enum fault	db_run(struct db *, unsigned statement)
		    __attribute__((warn_unused_result));

/* To the next row: *row says whether there is one. Its columns, counted from
 * 0, last until the next step; db_finish() ends the reading and unbinds. */
enum fault	db_step(struct db *, unsigned statement, bool *row)
		    __attribute__((warn_unused_result));
struct span	db_text(struct db *, unsigned statement, int);
int64_t		db_int(struct db *, unsigned statement, int);
void		db_finish(struct db *, unsigned statement);

/* Asks enough(arg) every now and then: a statement that is being run when it
 * is not 0 ends with FAULT_IO. For readers, who must not hold up others. */
void		db_interrupt(struct db *, int (*enough)(void *), void *arg);

/* Of the last INSERT; rows that the last statement changed. */
int64_t		db_last_id(const struct db *);
int64_t		db_changes(const struct db *);

#endif
