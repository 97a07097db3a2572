/* The database, its transactions and statements: the only door to SQLite.
 *
 * Two words that recur: to *retire* a database that was renamed, replaced or
 * deleted while it was open is to move what its log still holds into it, and
 * to remove that log, so that no new database at the path takes the log for
 * its own. The *owner* of a database is the worker, which creates it and keeps
 * its log short. */
#ifndef DB_H
#define DB_H

#include <stdint.h>

#include "base/fault.h"
#include "base/span.h"

struct db_files;

/* A connection. One thread at a time may use it; it has no lock. */
struct db;

enum db_mode {
	DB_OWN,		/* creates, migrates and checkpoints the database */
	DB_WRITE,	/* changes rows of what is there */
	DB_READ		/* never changes anything */
};

#define DB_STATEMENTS_MAX	24
#define DB_WHY			256	/* bytes of a reason, with its NUL */

/* ---- opening and closing (db.c) ---- */

/* Opens the database at `path` and prepares the `count` statements. From then
 * on a statement is named by its index in `statements`. On a fault *db is NULL
 * and `why` says in a line what is wrong. */
enum fault	db_open(struct db **db, const char *path, enum db_mode,
		    const char *const *statements, unsigned count,
		    char why[DB_WHY]) __attribute__((warn_unused_result));

/* Closes a connection in good order. The owner's first moves all of the log
 * into the database and removes the log, if no other process has it open. */
void		db_close(struct db *);

/* Closes a connection after a fault: nothing more is written or removed. */
void		db_abandon(struct db *);

/* SQLite's message about the last fault. Lasts until the next call on db. */
const char	*db_why(const struct db *);

/* SQLite's version, as in "3.40.1". */
const char	*db_sqlite_version(void);

/* ---- transactions (db.c) ---- */

/* Begins a transaction, with the write lock held. FAULT_BUSY: another process
 * still had the lock after 50 ms. FAULT_GONE: a path no longer leads to the
 * file that is open, or the database is shorter than its own header says;
 * nothing was written to it. After any other fault than FAULT_REFUSED roll
 * back, close, and open anew: after a failed sync the pages in memory may not
 * be the file's. */
enum fault	db_begin(struct db *) __attribute__((warn_unused_result));

/* Calls db_begin(), or another function, until its result is no FAULT_BUSY, for
 * `seconds` at most: the lock may be another's for moments, again and again. */
enum fault	db_insist(struct db *, enum fault attempt(struct db *),
		    unsigned seconds) __attribute__((warn_unused_result));

/* Ends the transaction by `f`, the result of its statements: FAULT_NONE
 * commits, anything else rolls back, and so does a commit that fails. Returns
 * `f`, or the commit's fault. FAULT_NONE means that the transaction is on
 * stable storage. (With DB_WRITE it is not synced: a power cut may take it
 * back, but never a part of it.) */
enum fault	db_end(struct db *, enum fault f)
		    __attribute__((warn_unused_result));

/* The same, and then db_checkpoint(d, false): for programs that may run without
 * a worker, which else keeps the log short. */
enum fault	db_end_and_checkpoint(struct db *, enum fault f)
		    __attribute__((warn_unused_result));

/* Ends a transaction that was to change nothing. */
void		db_rollback(struct db *);

/* Whether the paths still lead to the files that are open, now and without a
 * lock: FAULT_GONE if they do not. */
enum fault	db_check_files(struct db *)
		    __attribute__((warn_unused_result));

/* Notes which files are open, for when the database is closed. */
void		db_note_files(const struct db *, struct db_files *);

/* Reads the whole database: FAULT_CORRUPT if it is damaged anywhere. */
enum fault	db_check_integrity(struct db *)
		    __attribute__((warn_unused_result));

/* Within a transaction: gives up to `pages` free pages back to the disk. */
enum fault	db_shrink(struct db *, unsigned pages)
		    __attribute__((warn_unused_result));

/* ---- the write-ahead log (db_wal.c); none of these in a transaction ---- */

/* Moves the log into the database when the log has grown long; costs nothing
 * otherwise. The owner does so early enough for the log to stay below 1,000
 * pages, at which others' connections would begin to (checkpoint.h); DB_WRITE
 * only where no owner did. With `look` it also sees, on the disk, what other
 * processes have appended. A reader that needs the log is no fault. */
enum fault	db_checkpoint(struct db *, bool look)
		    __attribute__((warn_unused_result));

/* Moves all of the log into the database. FAULT_BUSY: a reader needs the log
 * as it is, or another process keeps the write lock. */
enum fault	db_empty_log(struct db *) __attribute__((warn_unused_result));

/* Retires a database of which db_begin() said FAULT_GONE, wherever its files
 * are by now. FAULT_BUSY: as for db_empty_log(); call it again. Else the only
 * call left is db_abandon(). If both log and index were deleted, and another
 * program has begun a log of its own since, only one of the two logs can go on.
 * The owner sets the other one aside, and *rival says so: what was committed to
 * that one is not in the database, but all hooks that were answered are. */
enum fault	db_retire(struct db *, bool *rival)
		    __attribute__((warn_unused_result));

/* Commits a page that changes nothing, so that all other connections forget the
 * pages that they have in memory. For the database that is opened after one was
 * retired: if only its log was deleted, it is the same one, and who has opened
 * it since does not know that the old log was moved into it. */
enum fault	db_renew(struct db *) __attribute__((warn_unused_result));

/* Empties the log and cuts it, so that no copy of a deleted row is left in it.
 * FAULT_BUSY: as for db_empty_log(). */
enum fault	db_wipe_log(struct db *) __attribute__((warn_unused_result));

/* The log's length in bytes. */
int64_t		db_wal_bytes(const struct db *);

/* ---- statements (db_statement.c) ---- */

/* Sets a statement's parameters, which are counted from 1. The bytes are not
 * copied: they must live until the statement was run or finished. { NULL, 0 }
 * is NULL as a text, and an empty blob. */
void		db_bind_text(struct db *, unsigned statement, int,
		    struct span);
void		db_bind_blob(struct db *, unsigned statement, int,
		    struct span);
void		db_bind_int(struct db *, unsigned statement, int, int64_t);

/* Runs a statement that returns no row, and forgets its parameters. */
enum fault	db_run(struct db *, unsigned statement)
		    __attribute__((warn_unused_result));

/* Goes to the next row: *row says whether there is one. */
enum fault	db_step(struct db *, unsigned statement, bool *row)
		    __attribute__((warn_unused_result));

/* The columns of that row, which are counted from 0. Last until the next
 * step. */
struct span	db_text(struct db *, unsigned statement, int);
int64_t		db_int(struct db *, unsigned statement, int);

/* Ends the reading, wherever it is, and forgets the parameters. */
void		db_finish(struct db *, unsigned statement);

/* Calls interrupted(arg) every few thousand steps of SQLite while a statement
 * runs; when that is not 0, the statement ends with FAULT_IO. NULL ends it. */
void		db_interrupt(struct db *, int (*interrupted)(void *),
		    void *arg);

/* The id of the row that was inserted last. */
int64_t		db_last_id(const struct db *);

/* How many rows the last statement changed. */
int64_t		db_changes(const struct db *);

#endif
