/* A connection and its transactions. db.h says what each function promises.
 *
 * db_open() takes these steps; the first that fails ends it:
 *   1. db_files_is_stray_log()		the log of another database is not
 *					taken for this one's
 *   2. shm_space_check()		a full disk is seen before SQLite maps
 *					the log's index into memory
 *   3. open_connection()		opens the file, with our settings
 *   4. set_up()			looks whose file it is; its owner
 *					creates or migrates it
 *   5. remember_files()		notes which files these are
 *   6. open_second_connection()	the one that does checkpoints
 *   7. prepare_statements()		for db_statement.c
 * Steps 5 and 6 are not for DB_READ, which never writes. */
#include "store/db_private.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "store/migrate.h"
#include "store/shm_space.h"
#include "store/sql.h"

#define BUSY_MS		50	/* longest wait for another process's lock */
#define OPEN_BUSY_MS	2000	/* the same while opening */
#define BUSY_STEP_NS	300000	/* between two attempts at a lock */
#define LOG_LIMIT_BYTES	"4194304"	/* a longer log is cut to this */
/* Memory for pages. Each hook reads some pages of the indexes, anywhere in
 * them: with millions of rows they should still be in memory. */
#define OWNER_CACHE_KIB	"32768"

const char *
db_why(const struct db *d)
{
	return sql_why(d->error_from);
}

const char *
db_sqlite_version(void)
{
	return sqlite3_libversion();
}

void
db_wait_for_lock(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = BUSY_STEP_NS }, NULL);
}

/* SQLite calls this when it finds a lock taken; 0 ends the attempt. SQLite's
 * own handler waits longer each time: beside busy processes it may never be
 * the one that gets the lock. */
static int
wait_while_busy(void *arg, int tries)
{
	struct db *d = arg;

	if (tries == 0)
		d->busy_until = clock_ms() + d->busy_ms;
	if (clock_ms() >= d->busy_until)
		return 0;
	db_wait_for_lock();
	return 1;
}

/* ---- opening and closing ---- */

static enum fault
prepare_statements(struct db *d, const char *const *statements, unsigned count)
{
	enum fault f = FAULT_NONE;

	for (unsigned i = 0; i < count && f == FAULT_NONE; i++)
		f = sql_fault(sqlite3_prepare_v3(d->db, statements[i], -1,
		    SQLITE_PREPARE_PERSISTENT, &d->stmt[i], NULL));
	return f;
}

static enum fault
set_up(struct db *d, char why[DB_WHY])
{
	static const char *const mode_pragmas[] = {
		[DB_OWN] = "PRAGMA synchronous = FULL",
		/* A power cut may take back the fate of a row that was
		 * delivered: then it is sent again, with the same id. */
		[DB_WRITE] = "PRAGMA synchronous = NORMAL",
		[DB_READ] = "PRAGMA query_only = ON",
	};
	int64_t version;
	enum fault f;

	/* Turning WAL mode on would already change another program's file:
	 * whose it is comes first. */
	if ((f = sql_run(d->db, mode_pragmas[d->mode])) != FAULT_NONE ||
	    (f = migrate_check(d->db, &version, why, DB_WHY)) != FAULT_NONE)
		return f;
	if (d->mode != DB_OWN && version < MIGRATE_VERSION) {
		snprintf(why, DB_WHY, "its version %lld is older than this "
		    "program's %d: start sentry-webhooks first",
		    (long long)version, MIGRATE_VERSION);
		return FAULT_OLDER;
	}
	if (d->mode == DB_OWN &&
	    ((f = migrate(d->db, why, DB_WHY)) != FAULT_NONE ||
	    (f = sql_run(d->db, "PRAGMA journal_mode = WAL; "
	    "PRAGMA journal_size_limit = " LOG_LIMIT_BYTES "; "
	    "PRAGMA cache_size = -" OWNER_CACHE_KIB)) != FAULT_NONE))
		return f;
	if ((f = sql_run(d->db, "PRAGMA temp_store = MEMORY")) != FAULT_NONE)
		return f;
	return sql_number(d->db, "PRAGMA page_size", &d->page_bytes);
}

/* SQLite never checkpoints by itself, neither after a commit nor when the
 * connection is closed: db_wal.c does. */
static enum fault
open_connection(struct db *d, sqlite3 **db, int create)
{
	enum fault f = sql_fault(sqlite3_open_v2(d->path, db, create |
	    SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_READWRITE, NULL));

	d->error_from = *db;
	if (f != FAULT_NONE)
		return f;
	sqlite3_busy_handler(*db, wait_while_busy, d);
	sqlite3_extended_result_codes(*db, 1);
	sqlite3_db_config(*db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	sqlite3_db_config(*db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_wal_autocheckpoint(*db, 0);
	return f;
}

static enum fault
open_second_connection(struct db *d)
{
	sqlite3 *second;
	enum fault f = open_connection(d, &second, 0);

	if (f == FAULT_NONE)
		f = checkpoint_open(&d->checkpoint, second);
	else
		d->checkpoint.db = second;
	if (f == FAULT_NONE)
		checkpoint_watch(&d->checkpoint, d->db);
	return f;
}

/* SQLite opens the log and its index with the first read. */
static enum fault
remember_files(struct db *d)
{
	int64_t n;
	enum fault f = sql_number(d->db, "SELECT count(*) FROM sqlite_schema",
	    &n);

	if (f == FAULT_NONE && db_files_remember(&d->files, d->path,
	    sql_path(d->db)) != 0)
		f = errno == ENOENT ? FAULT_GONE : fault_errno(errno);
	return f;
}

/* Steps 2 to 7. */
static enum fault
open_database(struct db *d, const char *const *statements, unsigned count,
    char why[DB_WHY])
{
	enum fault f;

	assert(count <= DB_STATEMENTS_MAX);
	d->busy_ms = OPEN_BUSY_MS;
	if ((f = shm_space_check(d->path, why)) != FAULT_NONE ||
	    (f = open_connection(d, &d->db, d->mode == DB_OWN ?
	    SQLITE_OPEN_CREATE : 0)) != FAULT_NONE ||
	    (f = set_up(d, why)) != FAULT_NONE ||
	    (d->mode != DB_READ && ((f = remember_files(d)) != FAULT_NONE ||
	    (f = open_second_connection(d)) != FAULT_NONE)))
		return f;
	d->error_from = d->db;
	f = prepare_statements(d, statements, count);
	d->busy_ms = BUSY_MS;
	return f;
}

enum fault
db_open(struct db **out, const char *path, enum db_mode mode,
    const char *const *statements, unsigned count, char why[DB_WHY])
{
	struct db *d = calloc(1, sizeof(*d));
	enum fault f = FAULT_IO;

	*out = NULL;
	why[0] = '\0';
	if (d == NULL)
		return FAULT_MEMORY;
	d->mode = mode;
	if ((size_t)snprintf(d->path, sizeof(d->path), "%s", path) >=
	    sizeof(d->path))
		snprintf(why, DB_WHY, "the path is too long");
	else if (mode == DB_OWN && db_files_is_stray_log(path))
		snprintf(why, DB_WHY, "the log of another database is in its "
		    "place: rename it after that one, or remove it");
	else
		f = open_database(d, statements, count, why);
	f = sql_open_fault(d->db, d->path, f, why, DB_WHY);
	if (f != FAULT_NONE && why[0] == '\0')
		snprintf(why, DB_WHY, "%s", db_why(d));
	if (f == FAULT_NONE)
		*out = d;
	else
		db_abandon(d);
	return f;
}

void
db_abandon(struct db *d)
{
	if (d == NULL)
		return;
	for (unsigned i = 0; i < DB_STATEMENTS_MAX; i++)
		sqlite3_finalize(d->stmt[i]);
	checkpoint_close(&d->checkpoint);
	sqlite3_close(d->db);
	free(d);
}

void
db_close(struct db *d)
{
	if (d != NULL && d->mode == DB_OWN && db_empty_log(d) == FAULT_NONE) {
		checkpoint_close(&d->checkpoint);
		/* Without this setting sqlite3_close() removes the log, if no
		 * other process has the database open. */
		sqlite3_db_config(d->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0,
		    NULL);
	}
	db_abandon(d);
}

/* ---- transactions ---- */

/* Whether somebody cut the database file. It is then shorter than its header
 * says. That alone does not prove it: a checkpoint that could move only a part
 * of the log may have written the header, but not yet the last pages. But such
 * a file never becomes shorter than it was. VACUUM makes a file shorter, but
 * its header says so. */
static bool
is_cut(const struct db *d)
{
	int64_t bytes, header_bytes;

	sql_size(d->db, d->page_bytes, &bytes, &header_bytes);
	return bytes == 0 || (bytes < header_bytes && bytes < d->bytes);
}

enum fault
db_begin_unchecked(struct db *d)
{
	d->error_from = d->db;
	return sql_run(d->db, "BEGIN IMMEDIATE");
}

enum fault
db_begin(struct db *d)
{
	enum fault f = db_begin_unchecked(d);

	if (db_files_same(&d->files) && (f != FAULT_NONE || !is_cut(d)))
		return f;
	db_rollback(d);
	return FAULT_GONE;
}

enum fault
db_insist(struct db *d, enum fault attempt(struct db *), unsigned seconds)
{
	int64_t until = clock_ms() + (int64_t)seconds * 1000;
	enum fault f;

	/* Each attempt waits BUSY_MS for the lock; others get their turn in
	 * between. */
	while ((f = attempt(d)) == FAULT_BUSY && clock_ms() < until)
		db_wait_for_lock();
	return f;
}

enum fault
db_end(struct db *d, enum fault f)
{
	return sql_end(d->db, f);
}

void
db_rollback(struct db *d)
{
	sql_rollback(d->db);
}

enum fault
db_check_files(struct db *d)
{
	return db_files_same(&d->files) ? FAULT_NONE : FAULT_GONE;
}

void
db_note_files(const struct db *d, struct db_files *files)
{
	*files = d->files;
}

enum fault
db_check_integrity(struct db *d)
{
	int64_t found;
	/* Not quick_check(1): SQLite 3.46 and later take the 1 for a table. */
	enum fault f = sql_number(d->db, "SELECT EXISTS (SELECT * FROM"
	    " pragma_quick_check WHERE quick_check <> 'ok')", &found);

	return f == FAULT_NONE && found != 0 ? FAULT_CORRUPT : f;
}

enum fault
db_shrink(struct db *d, unsigned pages)
{
	char sql[64];

	snprintf(sql, sizeof(sql), "PRAGMA incremental_vacuum(%u)", pages);
	return sql_run(d->db, sql);
}
