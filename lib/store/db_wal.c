/* The write-ahead log (NAME-wal) of a connection. Commits append pages to the
 * log; from time to time they are moved into the database. Who does what:
 *
 *   db_checkpoint()	between transactions, moves the log's pages when it has
 *			grown long (checkpoint.h says why not SQLite itself)
 *   db_empty_log()	moves all of them, now
 *   db_retire()	moves them into a database that was renamed or deleted,
 *			then removes the log from beside the new one
 *   db_renew()		appends one page, so that others read anew
 *   db_wipe_log()	moves all of them and cuts the log: no copy of deleted
 *			rows is left in it
 *
 * All hold the write lock while pages move, so nobody can commit. */
#include "store/db_private.h"

#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "store/migrate.h"
#include "store/sql.h"

/* Pages in the log at which its owner moves them. From 1,000 on others'
 * connections would begin to do so; until then there is place for one more
 * transaction of ours (300 pages at most) and one of another process. */
#define OWNER_PAGES	400
#define OTHERS_PAGES	700	/* the same for DB_WRITE: no owner did it */
#define LONG_PAGES	550	/* from here on readers are waited for, */
#define LONG_WAIT_MS	200	/* as long as this */

/* The pages move, with the write lock held. */
static enum fault
move_log(struct db *d)
{
	int64_t header_bytes;
	enum fault f;

	d->error_from = d->checkpoint.db;
	f = checkpoint_move(&d->checkpoint, sql_path(d->db));
	if (f == FAULT_NONE)
		sql_size(d->db, d->page_bytes, &d->bytes, &header_bytes);
	return f;
}

enum fault
db_empty_log(struct db *d)
{
	enum fault f = db_begin(d);

	if (f != FAULT_NONE)
		return f;
	f = move_log(d);
	db_rollback(d);
	return f;
}

/* A reader may keep pages in the log: usually they are left for the next time.
 * When the log is long, this waits for a short reader or writer to end. It
 * waits once, and then not again before the log was emptied. */
enum fault
db_checkpoint(struct db *d, bool look)
{
	bool may_wait = d->checkpoint.kept < LONG_PAGES;
	int64_t until = clock_ms() + LONG_WAIT_MS;
	enum fault f;

	if (!checkpoint_due(&d->checkpoint, d->mode == DB_OWN ? OWNER_PAGES :
	    OTHERS_PAGES, look, sql_path(d->db), d->page_bytes))
		return FAULT_NONE;
	while ((f = db_empty_log(d)) == FAULT_BUSY && may_wait &&
	    d->checkpoint.pages >= LONG_PAGES && clock_ms() < until)
		db_wait_for_lock();
	return f == FAULT_BUSY ? FAULT_NONE : f;
}

/* Whether what was just moved has to stay, and the rival log has to go. If ours
 * was empty, another process has retired it before, and the rival is its. */
static bool
rival_must_go(const struct db *d)
{
	return d->mode == DB_OWN && d->checkpoint.found > 0 &&
	    db_files_log_is_rival(&d->files);
}

enum fault
db_retire(struct db *d, bool *rival)
{
	enum fault f = FAULT_NONE;

	*rival = false;
	db_files_set_log_aside(&d->files);
	/* Another process made a new index for the log and goes on in both.
	 * Our index does not know what it wrote: the log is left to it. Where
	 * a rival log stands, the owner decides which of the two goes on. */
	if (db_files_log_is_shared(&d->files) || (d->mode == DB_WRITE &&
	    db_files_log_is_rival(&d->files)) ||
	    (f = db_begin_unchecked(d)) != FAULT_NONE)
		return f;
	f = move_log(d);
	if (f == FAULT_NONE && rival_must_go(d)) {
		db_files_set_rival_aside(&d->files);
		*rival = true;
	}
	if (f == FAULT_NONE && db_files_remove_log(&d->files) != 0)
		f = fault_errno(errno);
	db_rollback(d);
	/* An owner that notices later than we that its log was deleted finds
	 * it empty, and not a stranger's beside it. */
	if (f == FAULT_NONE && d->mode == DB_WRITE &&
	    db_files_log_is_deleted(&d->files))
		f = checkpoint_cut(&d->checkpoint);
	return f;
}

enum fault
db_renew(struct db *d)
{
	char sql[48];
	enum fault f = db_begin(d);

	if (f != FAULT_NONE)
		return f;
	snprintf(sql, sizeof(sql), "PRAGMA user_version = %d",
	    MIGRATE_VERSION);
	return db_end(d, sql_run(d->db, sql));
}

enum fault
db_wipe_log(struct db *d)
{
	enum fault f = db_empty_log(d);

	/* The next commit writes one page to the beginning of the log. With a
	 * limit of 0 bytes SQLite then cuts off everything behind it. */
	if (f != FAULT_NONE ||
	    (f = sql_run(d->db, "PRAGMA journal_size_limit = 0")) != FAULT_NONE
	    || (f = db_renew(d)) != FAULT_NONE)
		return f;
	return d->checkpoint.pages > 1 ? FAULT_BUSY : f;
}

int64_t
db_wal_bytes(const struct db *d)
{
	return db_files_log_bytes(sql_path(d->db), NULL);
}

enum fault
db_end_and_checkpoint(struct db *d, enum fault f)
{
	f = db_end(d, f);
	return f == FAULT_NONE ? db_checkpoint(d, false) : f;
}
