/* Opening and leaving the database. After a fault the writer does not go on
 * with the same connection: it leaves the database (writer_db_leave) and opens
 * it again in a later round (writer_db_open). What the fault was decides what
 * has to be done in between:
 *
 *   FAULT_GONE		the files were moved, replaced or cut: first they are
 *			retired (writer_db_retire); then the database that is
 *			at the path now is read as a whole
 *   FAULT_CORRUPT	the database is read as a whole before it is used
 *   any other		a sync may have failed: the log is emptied before the
 *			database is used
 *
 * After the latter two the log stays. If another database is at the path when
 * it is opened again, the log is set aside first. */
#include "store/writer_private.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"

#define CORRUPT_MS	5000	/* until a damaged one is opened again */
#define CHECK_MS	1000	/* between two looks by a new connection */
#define RETIRE_SAY_MS	1000	/* a retirement that takes longer is reported */

/* Called by SQLite in the midst of a long statement. */
static int
keep_alive(void *w)
{
	writer_set_alive(w);
	return 0;
}

/* Makes sure that the database can be relied on. After a failed sync some pages
 * of the log may be in memory only, even if the next sync succeeds (Linux marks
 * them as clean): all of them move into the database before any hook is written
 * behind them. A database that was replaced, cut or damaged has to be sound. */
static enum fault
make_reliable(struct writer *w, char why[DB_WHY])
{
	enum fault f = db_empty_log(w->db);

	if (f == FAULT_BUSY && w->unsynced) {
		snprintf(why, DB_WHY, "a sync has failed, and somebody reads: "
		    "the log cannot be emptied");
		return f;
	}
	if ((f == FAULT_NONE || f == FAULT_BUSY) && w->retired)
		f = db_renew(w->db);
	if ((f == FAULT_NONE || f == FAULT_BUSY) && w->suspect) {
		db_interrupt(w->db, keep_alive, w);
		f = db_check_integrity(w->db);
		db_interrupt(w->db, NULL, NULL);
	}
	if (f == FAULT_BUSY)
		f = FAULT_NONE;
	snprintf(why, DB_WHY, "%s", f == FAULT_CORRUPT ? "it is damaged: move "
	    "it away, or put a sound one in its place" : db_why(w->db));
	return f;
}

/* While the database was closed, somebody may have put another one in its
 * place. The log that was left is not that one's, and would spoil it. */
static void
set_left_log_aside(struct writer *w)
{
	if (!db_files_replaced(&w->left))
		return;
	db_files_set_log_aside(&w->left);
	w->left = (struct db_files){ 0 };
	writer_report(w, WRITER_RETIRED, FAULT_GONE, "the database was closed "
	    "after a fault, and then replaced", 0);
}

/* Before the files are opened: that may fail, and somebody may then put another
 * database in the place of one that is damaged. */
static void
note_files(struct writer *w)
{
	char real[PATH_MAX];

	if (w->left.path[DB_FILE_MAIN][0] == '\0' &&
	    (realpath(w->config.db, real) == NULL ||
	    db_files_remember(&w->left, w->config.db, real) != 0))
		w->left = (struct db_files){ 0 };
}

enum fault
writer_db_open(struct writer *w, char why[DB_WHY])
{
	enum fault f;

	set_left_log_aside(w);
	note_files(w);
	if ((f = store_open(&w->db, w->config.db, DB_OWN, why)) != FAULT_NONE)
		return f;
	if ((f = make_reliable(w, why)) != FAULT_NONE) {
		w->suspect |= f == FAULT_CORRUPT;
		w->reopen_ms = f == FAULT_CORRUPT ? CORRUPT_MS :
		    WRITER_REOPEN_MS;
		db_note_files(w->db, &w->left);
		db_abandon(w->db);
		w->db = NULL;
		return f;
	}
	w->suspect = w->unsynced = w->retired = false;
	w->left = (struct db_files){ 0 };
	w->check_at = clock_ms() + CHECK_MS;
	w->map_edits = -1;	/* no count: the unmapped rows are looked at */
	writer_report(w, WRITER_OPENED, f, "", 0);
	return f;
}

/* The writer's connection has pages in memory, and may not see that the file
 * was damaged; a new connection reads the file. */
enum fault
writer_db_check(struct writer *w)
{
	char why[DB_WHY];
	struct db *d;
	enum fault f;

	if (clock_ms() < w->check_at)
		return FAULT_NONE;
	w->check_at = clock_ms() + CHECK_MS;
	f = store_open(&d, w->config.db, DB_READ, why);
	db_close(d);
	return f == FAULT_CORRUPT || f == FAULT_FOREIGN ? FAULT_CORRUPT :
	    FAULT_NONE;
}

void
writer_db_leave(struct writer *w, enum fault f)
{
	w->suspect = f == FAULT_GONE || f == FAULT_CORRUPT;
	w->unsynced |= f != FAULT_GONE;
	w->reopen_ms = WRITER_REOPEN_MS;
	if (f == FAULT_GONE) {
		w->old = w->db;
		w->old_since = clock_ms();
	} else {
		db_note_files(w->db, &w->left);
		db_abandon(w->db);
	}
	w->db = NULL;
}

/* Until this is done hooks go to the spool. A log that cannot be moved at all
 * is reported and left: waiting would not change that. */
enum fault
writer_db_retire(struct writer *w)
{
	bool rival;
	enum fault f = db_retire(w->old, &rival);

	if (rival)
		writer_report(w, WRITER_RIVAL, FAULT_GONE, "", 0);
	if (f == FAULT_BUSY || f == FAULT_FULL) {
		if (w->old_since != 0 &&
		    clock_ms() - w->old_since > RETIRE_SAY_MS) {
			writer_report(w, WRITER_RETIRING, f, "", 0);
			w->old_since = 0;
		}
		return FAULT_GONE;
	}
	if (f != FAULT_NONE || w->old_since == 0)
		writer_report(w, WRITER_RETIRED, f, f == FAULT_NONE ? "" :
		    db_why(w->old), 0);
	db_abandon(w->old);
	w->old = NULL;
	w->retired = true;
	return FAULT_NONE;
}
