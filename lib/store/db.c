#include "store/db.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include <sqlite3.h>

#include "store/checkpoint.h"
#include "base/clock.h"
#include "store/db_files.h"
#include "store/migrate.h"
#include "store/shm_space.h"
#include "store/sql.h"

#define BUSY_MS		50	/* one wait for another writer */
#define INSIST_MS	200	/* the same where the log is long */
#define OPEN_BUSY_MS	2000	/* the same while opening */
#define BUSY_STEP_NS	300000	/* between attempts at a lock */
/* Pages in the log at which it is emptied, so that it stays below 1,000 with
 * one more transaction of ours (300 at most) and one of another's. */
#define OWNER_PAGES	400
#define OTHERS_PAGES	700
#define LONG_PAGES	550
#define LOG_LIMIT_BYTES	"4194304"	/* what is kept of a longer log */
/* For the indexes of millions of rows: each hook reads some page of them. */
#define OWNER_CACHE_KIB	"32768"
#define INTERRUPT_STEPS	2000	/* of SQLite's machine */

struct db {
	sqlite3		*db;
	struct checkpoint checkpoint;	/* none for DB_READ */
	sqlite3		*blamed;	/* whose words say what happened */
	sqlite3_stmt	*stmt[DB_STATEMENTS_MAX];
	enum db_mode	 mode;
	int64_t		 page_bytes;
	int		 busy_ms;	/* one wait for a lock */
	int64_t		 busy_until;	/* and its end, monotonic */
	struct db_files	 files;
	int64_t		 bytes;		/* its size when the log was empty */
	char		 path[PATH_MAX];
};

const char *
db_why(const struct db *d)
{
	return sql_why(d->blamed);
}

static void
rest(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = BUSY_STEP_NS }, NULL);
}

/* SQLite's own waits longer each time, and may wait for ever beside others. */
static int
on_busy(void *arg, int tries)
{
	struct db *d = arg;

	if (tries == 0)
		d->busy_until = clock_ms() + d->busy_ms;
	if (clock_ms() >= d->busy_until)
		return 0;
	rest();
	return 1;
}

/* ---- opening ---- */

static enum fault
prepare(struct db *d, const char *const *statements, unsigned count)
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
		/* A verdict that a power cut takes back is found again: the
		 * row is sent once more, with the same id. */
		[DB_WRITE] = "PRAGMA synchronous = NORMAL",
		[DB_READ] = "PRAGMA query_only = ON",
	};
	int64_t version;
	enum fault f;

	/* Whose file it is comes first: WAL mode would already change it. */
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

static enum fault
open_one(struct db *d, sqlite3 **db, int create)
{
	enum fault f = sql_fault(sqlite3_open_v2(d->path, db, create |
	    SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_READWRITE, NULL));

	d->blamed = *db;
	if (f != FAULT_NONE)
		return f;
	sqlite3_busy_handler(*db, on_busy, d);
	sqlite3_extended_result_codes(*db, 1);
	sqlite3_db_config(*db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	sqlite3_db_config(*db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_wal_autocheckpoint(*db, 0);
	return f;
}

static enum fault
open_second(struct db *d)
{
	sqlite3 *second;
	enum fault f = open_one(d, &second, 0);

	if (f == FAULT_NONE)
		f = checkpoint_open(&d->checkpoint, second);
	else
		d->checkpoint.db = second;
	if (f == FAULT_NONE)
		checkpoint_watch(&d->checkpoint, d->db);
	return f;
}

/* Once something was read, the log and its index are there. */
static enum fault
note_files(struct db *d)
{
	int64_t n;
	enum fault f = sql_number(d->db, "SELECT count(*) FROM sqlite_schema",
	    &n);

	if (f == FAULT_NONE && db_files_remember(&d->files, d->path,
	    sql_path(d->db)) != 0)
		f = errno == ENOENT ? FAULT_GONE : fault_errno(errno);
	return f;
}

static enum fault
open_all(struct db *d, const char *const *statements, unsigned count,
    char why[DB_WHY])
{
	enum fault f;

	assert(count <= DB_STATEMENTS_MAX);
	d->busy_ms = OPEN_BUSY_MS;
	if ((f = shm_space_check(d->path, why)) != FAULT_NONE ||
	    (f = open_one(d, &d->db, d->mode == DB_OWN ?
	    SQLITE_OPEN_CREATE : 0)) != FAULT_NONE ||
	    (f = set_up(d, why)) != FAULT_NONE ||
	    (d->mode != DB_READ && ((f = note_files(d)) != FAULT_NONE ||
	    (f = open_second(d)) != FAULT_NONE)))
		return f;
	d->blamed = d->db;
	f = prepare(d, statements, count);
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
		f = open_all(d, statements, count, why);
	f = sql_opened(d->db, d->path, f, why, DB_WHY);
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
		/* Then SQLite removes the log, if it finds itself alone. */
		sqlite3_db_config(d->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0,
		    NULL);
	}
	db_abandon(d);
}

/* ---- statements ---- */

void
db_bind_text(struct db *d, unsigned which, int i, struct span value)
{
	sqlite3_stmt *stmt = d->stmt[which];

	if (value.at == NULL)
		sqlite3_bind_null(stmt, i);
	else
		sqlite3_bind_text64(stmt, i, value.at, value.len,
		    SQLITE_STATIC, SQLITE_UTF8);
}

void
db_bind_blob(struct db *d, unsigned which, int i, struct span value)
{
	sqlite3_bind_blob64(d->stmt[which], i,
	    value.len > 0 ? value.at : "", value.len, SQLITE_STATIC);
}

void
db_bind_int(struct db *d, unsigned which, int i, int64_t value)
{
	sqlite3_bind_int64(d->stmt[which], i, value);
}

enum fault
db_run(struct db *d, unsigned which)
{
	int rc = sqlite3_step(d->stmt[which]);

	db_finish(d, which);
	return sql_fault(rc);
}

enum fault
db_step(struct db *d, unsigned which, bool *row)
{
	int rc = sqlite3_step(d->stmt[which]);

	*row = rc == SQLITE_ROW;
	return sql_fault(rc);
}

void
db_finish(struct db *d, unsigned which)
{
	sqlite3_reset(d->stmt[which]);
	sqlite3_clear_bindings(d->stmt[which]);
}

struct span
db_text(struct db *d, unsigned which, int i)
{
	const unsigned char *at = sqlite3_column_text(d->stmt[which], i);

	return (struct span){ (const char *)at,
	    (size_t)sqlite3_column_bytes(d->stmt[which], i) };
}

int64_t
db_int(struct db *d, unsigned which, int i)
{
	return sqlite3_column_int64(d->stmt[which], i);
}

void
db_interrupt(struct db *d, int (*enough)(void *), void *arg)
{
	sqlite3_progress_handler(d->db, INTERRUPT_STEPS, enough, arg);
}

int64_t
db_last_id(const struct db *d)
{
	return sqlite3_last_insert_rowid(d->db);
}

int64_t
db_changes(const struct db *d)
{
	return sqlite3_changes(d->db);
}

/* ---- transactions ---- */

/* A file that was cut is shorter than its header says. So is one whose log
 * could be moved but in part; but that never gets shorter. Nor is one that
 * VACUUM made smaller longer in its header. */
static bool
is_cut(const struct db *d)
{
	int64_t bytes, header_bytes;

	sql_size(d->db, d->page_bytes, &bytes, &header_bytes);
	return bytes == 0 || (bytes < header_bytes && bytes < d->bytes);
}

static enum fault
begin(struct db *d)
{
	d->blamed = d->db;
	return sql_run(d->db, "BEGIN IMMEDIATE");
}

static enum fault
begin_ours(struct db *d)
{
	enum fault f = begin(d);

	if (db_files_same(&d->files) && (f != FAULT_NONE || !is_cut(d)))
		return f;
	db_rollback(d);
	return FAULT_GONE;
}

enum fault
db_begin(struct db *d)
{
	return begin_ours(d);
}

enum fault
db_commit(struct db *d)
{
	return sql_run(d->db, "COMMIT");
}

void
db_rollback(struct db *d)
{
	if (!sqlite3_get_autocommit(d->db))
		(void)sql_run(d->db, "ROLLBACK");
}

enum fault
db_look(struct db *d)
{
	return db_files_same(&d->files) ? FAULT_NONE : FAULT_GONE;
}

/* ---- the log ---- */

static enum fault
move_log(struct db *d)
{
	int64_t header_bytes;
	enum fault f;

	d->blamed = d->checkpoint.db;
	f = checkpoint_move(&d->checkpoint, sql_path(d->db));
	if (f == FAULT_NONE)
		sql_size(d->db, d->page_bytes, &d->bytes, &header_bytes);
	return f;
}

enum fault
db_empty_log(struct db *d)
{
	enum fault f = begin_ours(d);

	if (f != FAULT_NONE)
		return f;
	f = move_log(d);
	db_rollback(d);
	return f;
}

/* Who reads or writes for a moment only is waited for when the log gets long:
 * once, until it was empty again. */
enum fault
db_checkpoint(struct db *d, bool look)
{
	bool insist = d->checkpoint.tried < LONG_PAGES;
	int64_t until = clock_ms() + INSIST_MS;
	enum fault f;

	if (!checkpoint_due(&d->checkpoint, d->mode == DB_OWN ? OWNER_PAGES :
	    OTHERS_PAGES, look, sql_path(d->db), d->page_bytes))
		return FAULT_NONE;
	while ((f = db_empty_log(d)) == FAULT_BUSY && insist &&
	    d->checkpoint.pages >= LONG_PAGES && clock_ms() < until)
		rest();
	return f == FAULT_BUSY ? FAULT_NONE : f;
}

enum fault
db_retire(struct db *d)
{
	enum fault f = FAULT_NONE;

	db_files_set_log_aside(&d->files);
	/* Our index does not say what is in a shared one: it stays as it is. */
	if (db_files_log_is_shared(&d->files) || (f = begin(d)) != FAULT_NONE)
		return f;
	f = move_log(d);
	if (f == FAULT_NONE && db_files_remove_log(&d->files) != 0)
		f = fault_errno(errno);
	db_rollback(d);
	return f;
}

enum fault
db_wipe_log(struct db *d)
{
	char sql[96];
	enum fault f = db_empty_log(d);

	if (f != FAULT_NONE || (f = db_begin(d)) != FAULT_NONE)
		return f;
	/* The first page is written anew, and the rest of the log cut off. */
	snprintf(sql, sizeof(sql), "PRAGMA journal_size_limit = 0; "
	    "PRAGMA user_version = %d", MIGRATE_VERSION);
	if ((f = sql_run(d->db, sql)) == FAULT_NONE)
		f = db_commit(d);
	if (f != FAULT_NONE)
		db_rollback(d);
	return f == FAULT_NONE && d->checkpoint.pages > 1 ? FAULT_BUSY : f;
}

enum fault
db_look_through(struct db *d)
{
	int64_t found;
	/* Not quick_check(1): newer ones (3.46) take that 1 for a table. */
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

const char *
db_sqlite_version(void)
{
	return sqlite3_libversion();
}

int64_t
db_wal_bytes(const struct db *d)
{
	return db_files_log_bytes(sql_path(d->db), NULL);
}
