#include "db.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

#include "gate.h"
#include "migrate.h"
#include "sql.h"
#include "wal.h"

#define BUSY_MS			50	/* one wait for another writer */
#define OPEN_BUSY_MS		2000	/* the same while opening */
/* Of the WAL, before a checkpoint pays. It holds up hooks for a moment: many
 * short ones do so less than a few long ones, and cost no more. */
#define CHECKPOINT_BYTES	1048576
#define WAL_LIMIT_BYTES		"67108864"
#define INTERRUPT_STEPS		2000	/* of SQLite's machine */

struct db {
	sqlite3		*db;
	sqlite3_stmt	*stmt[DB_STATEMENTS_MAX];
	enum db_mode	 mode;
	int		 gate;		/* gate.h */
	int64_t		 page_bytes;
	int		 wal_pages;	/* after our last commit */
	struct timespec	 wal_mtime;	/* at the last checkpoint */
	dev_t		 dev;
	ino_t		 ino;
	off_t		 size;		/* an owner's checkpoints change it */
	char		 path[PATH_MAX];
};

const char *
db_why(const struct db *d)
{
	return sqlite3_errmsg(d->db);
}

const char *
db_sqlite_version(void)
{
	return sqlite3_libversion();
}

/* ---- opening ---- */

static int
count_wal(void *arg, sqlite3 *db, const char *name, int pages)
{
	(void)db;
	(void)name;
	((struct db *)arg)->wal_pages = pages;
	return SQLITE_OK;
}

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
remember_file(struct db *d)
{
	struct stat st;

	if (stat(d->path, &st) != 0)
		return fault_errno(errno);
	d->dev = st.st_dev;
	d->ino = st.st_ino;
	d->size = st.st_size;
	return FAULT_NONE;
}

/* WAL mode, and a file of the newest version. */
static enum fault
set_up_own(struct db *d, char why[DB_WHY])
{
	enum fault f = migrate(d->db, why, DB_WHY);

	return f != FAULT_NONE ? f : sql_run(d->db,
	    "PRAGMA journal_mode = WAL; "
	    "PRAGMA journal_size_limit = " WAL_LIMIT_BYTES);
}

static enum fault
set_up(struct db *d, char why[DB_WHY])
{
	static const char *const mode_pragmas[] = {
		[DB_OWN] = "PRAGMA synchronous = FULL",	/* as wal_vfs() needs */
		/* A verdict that a power cut takes back is found again: the
		 * row is sent once more, with the same id. */
		[DB_WRITE] = "PRAGMA synchronous = NORMAL",
		[DB_READ] = "PRAGMA query_only = ON",
	};
	int64_t version;
	enum fault f;

	sqlite3_busy_timeout(d->db, OPEN_BUSY_MS);
	sqlite3_extended_result_codes(d->db, 1);
	sqlite3_db_config(d->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	sqlite3_db_config(d->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
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
	if (d->mode == DB_OWN && (f = set_up_own(d, why)) != FAULT_NONE)
		return f;
	if ((f = sql_run(d->db, "PRAGMA wal_autocheckpoint = 0;"
	    "PRAGMA temp_store = MEMORY")) != FAULT_NONE ||
	    (f = sql_number(d->db, "PRAGMA page_size", &d->page_bytes)) !=
	    FAULT_NONE)
		return f;
	/* After the pragma: that takes a hook away. */
	sqlite3_wal_hook(d->db, count_wal, d);
	d->wal_pages = CHECKPOINT_BYTES;	/* whatever a crash left */
	return f;
}

static enum fault
open_all(struct db *d, const char *const *statements, unsigned count,
    char why[DB_WHY])
{
	int create = d->mode == DB_OWN ? SQLITE_OPEN_CREATE : 0;
	enum fault f;

	assert(count <= DB_STATEMENTS_MAX);
	if ((f = sql_fault(sqlite3_open_v2(d->path, &d->db, create |
	    SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_READWRITE,
	    d->mode == DB_OWN ? wal_vfs() : NULL))) != FAULT_NONE ||
	    (f = set_up(d, why)) != FAULT_NONE)
		return f;
	if (d->mode != DB_READ &&
	    (d->gate = gate_open(d->path, d->mode == DB_OWN)) < 0) {
		snprintf(why, DB_WHY, "its lock file %.200s-lock cannot be "
		    "opened", d->path);
		return fault_errno(errno);
	}
	if ((f = prepare(d, statements, count)) != FAULT_NONE)
		return f;
	sqlite3_busy_timeout(d->db, BUSY_MS);
	return remember_file(d);
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
	d->gate = -1;
	d->mode = mode;
	if ((size_t)snprintf(d->path, sizeof(d->path), "%s", path) >=
	    sizeof(d->path))
		snprintf(why, DB_WHY, "the path is too long");
	else
		f = open_all(d, statements, count, why);
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
	for (unsigned i = 0; i < DB_STATEMENTS_MAX; i++)
		sqlite3_finalize(d->stmt[i]);
	sqlite3_close(d->db);
	if (d->gate >= 0)
		close(d->gate);
	free(d);
}

void
db_close(struct db *d)
{
	if (d == NULL)
		return;
	if (d->mode == DB_OWN && gate_take(d->gate, GATE_CHECKPOINT)) {
		(void)sqlite3_wal_checkpoint_v2(d->db, NULL,
		    SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
		gate_leave(d->gate);
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

static bool
is_same(const struct db *d, const struct stat *st)
{
	return st->st_ino == d->ino && st->st_dev == d->dev;
}

enum fault
db_begin(struct db *d)
{
	struct stat st;
	enum fault f;

	if (stat(d->path, &st) != 0 || !is_same(d, &st) ||
	    (d->mode == DB_OWN && st.st_size < d->size))
		return FAULT_GONE;
	if (!gate_take(d->gate, GATE_WRITE))
		return FAULT_BUSY;
	if ((f = sql_run(d->db, "BEGIN IMMEDIATE")) != FAULT_NONE)
		gate_leave(d->gate);
	return f;
}

enum fault
db_commit(struct db *d)
{
	enum fault f = sql_run(d->db, "COMMIT");

	if (f == FAULT_NONE)
		gate_leave(d->gate);
	return f;
}

void
db_rollback(struct db *d)
{
	if (!sqlite3_get_autocommit(d->db))
		(void)sql_run(d->db, "ROLLBACK");
	gate_leave(d->gate);
}

enum fault
db_checkpoint(struct db *d, bool look)
{
	int rc = SQLITE_BUSY;
	struct stat st;

	if (d->wal_pages * d->page_bytes < CHECKPOINT_BYTES && (!look ||
	    !wal_changed(d->path, CHECKPOINT_BYTES, &d->wal_mtime)))
		return FAULT_NONE;
	if (d->mode == DB_OWN)
		gate_own(d->gate);
	else if (!gate_stand_in(d->gate))
		return FAULT_NONE;
	if (gate_take(d->gate, GATE_CHECKPOINT)) {
		rc = sqlite3_wal_checkpoint_v2(d->db, NULL,
		    SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
		gate_leave(d->gate);
	}
	if (rc == SQLITE_OK) {
		d->wal_pages = 0;
		wal_see(d->path, &d->wal_mtime);
		if (stat(d->path, &st) == 0 && is_same(d, &st))
			d->size = st.st_size;
	}
	if (d->mode != DB_OWN)
		gate_stand_back(d->gate);
	return sql_fault(rc) == FAULT_BUSY ? FAULT_NONE : sql_fault(rc);
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

int64_t
db_wal_bytes(const struct db *d)
{
	return wal_bytes(d->path);
}
