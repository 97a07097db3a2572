/* SQLite's calls, with our faults. */
#ifndef SQL_H
#define SQL_H

#include <stdint.h>

#include <sqlite3.h>

#include "fault.h"

/* Of a result code, the extended ones too. After SQLITE_CANTOPEN errno has to
 * be as SQLite left it. */
enum fault	sql_fault(int rc);

/* Runs statements that return nothing. */
enum fault	sql_run(sqlite3 *, const char *sql);

/* The number that a pragma or a count returns; 0 without a row. */
enum fault	sql_number(sqlite3 *, const char *sql, int64_t *n)
		    __attribute__((warn_unused_result));

#endif
