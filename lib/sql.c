#include "sql.h"

#include <errno.h>
#include <stddef.h>

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
		return errno == ENOSPC ? FAULT_FULL : FAULT_IO;
	}
	return FAULT_IO;
}

enum fault
sql_run(sqlite3 *db, const char *sql)
{
	return sql_fault(sqlite3_exec(db, sql, NULL, NULL, NULL));
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
