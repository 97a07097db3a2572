#include "store/sql.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define HEADER_BYTES	32	/* of the file's header: as much as is read */
#define HEADER_PAGES	28	/* where the size in pages begins */

enum fault
sql_fault(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return FAULT_NONE;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return FAULT_BUSY;
	case SQLITE_FULL:
		return FAULT_FULL;
	case SQLITE_NOMEM:
		return FAULT_MEMORY;
	case SQLITE_READONLY:
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return FAULT_DENIED;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return FAULT_CORRUPT;
	case SQLITE_CONSTRAINT:
	case SQLITE_TOOBIG:
	case SQLITE_MISMATCH:
		return FAULT_REFUSED;
	case SQLITE_CANTOPEN:
		return fault_errno(errno);
	}
	return FAULT_IO;
}

enum fault
sql_open_fault(sqlite3 *db, const char *path, enum fault f, char *why,
    size_t size)
{
	char folder[PATH_MAX];
	int rc = 0;

	if (f == FAULT_MISSING) {
		snprintf(folder, sizeof(folder), "%s", path);
		rc = access(dirname(folder), W_OK);
	} else if ((f == FAULT_IO || f == FAULT_DENIED) && db != NULL &&
	    sqlite3_db_readonly(db, "main") == 1) {
		f = FAULT_DENIED;
		rc = access(path, W_OK);
	}
	if (rc != 0) {
		f = fault_errno(errno);
		snprintf(why, size, "%s", strerror(errno));
	}
	return f;
}

const char *
sql_why(sqlite3 *db)
{
	static _Thread_local char why[192];
	int code = sqlite3_errcode(db) & 0xff, e = sqlite3_system_errno(db);

	if (e == 0 || (code != SQLITE_CANTOPEN && code != SQLITE_IOERR))
		return sqlite3_errmsg(db);
	snprintf(why, sizeof(why), "%s: %s", sqlite3_errmsg(db), strerror(e));
	return why;
}

enum fault
sql_run(sqlite3 *db, const char *sql)
{
	return sql_fault(sqlite3_exec(db, sql, NULL, NULL, NULL));
}

enum fault
sql_end(sqlite3 *db, enum fault f)
{
	if (f == FAULT_NONE)
		f = sql_run(db, "COMMIT");
	if (f != FAULT_NONE)
		sql_rollback(db);
	return f;
}

void
sql_rollback(sqlite3 *db)
{
	if (!sqlite3_get_autocommit(db))
		(void)sql_run(db, "ROLLBACK");
}

enum fault
sql_number(sqlite3 *db, const char *sql, int64_t *n)
{
	sqlite3_stmt *stmt;
	int rc;

	*n = 0;
	rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
	if (rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW)
		*n = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	return sql_fault(rc);
}

/* This reads through SQLite's own descriptor. A second descriptor would be
 * wrong: when a process closes any descriptor of a file, it loses all POSIX
 * locks that it has on the file (sqlite.org/howtocorrupt.html, 2.2). */
void
sql_size(sqlite3 *db, int64_t page_bytes, int64_t *bytes,
    int64_t *header_bytes)
{
	sqlite3_file *file = NULL;
	unsigned char h[HEADER_BYTES];
	const unsigned char *n = h + HEADER_PAGES;
	sqlite3_int64 size;

	*bytes = *header_bytes = 0;
	if (sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER,
	    (void *)&file) != SQLITE_OK || file->pMethods == NULL ||
	    file->pMethods->xFileSize(file, &size) != SQLITE_OK ||
	    file->pMethods->xRead(file, h, sizeof(h), 0) != SQLITE_OK)
		return;
	*bytes = size;
	*header_bytes = page_bytes * ((int64_t)n[0] << 24 | n[1] << 16 |
	    n[2] << 8 | n[3]);
}

const char *
sql_path(sqlite3 *db)
{
	return sqlite3_db_filename(db, "main");
}
