/* SQLite's calls, with our faults. */
#ifndef SQL_H
#define SQL_H

#include <stddef.h>
#include <stdint.h>

#include <sqlite3.h>

#include "base/fault.h"

/* Of a result code, the extended ones too. After SQLITE_CANTOPEN errno has to
 * be as SQLite left it. */
enum fault	sql_fault(int rc);

/* What came of opening `path`, more to the point: of a folder that cannot be
 * written to SQLite says that there is no file, and of a file that cannot be,
 * no more than that it cannot open its log. Then with words. */
enum fault	sql_opened(sqlite3 *, const char *path, enum fault, char *why,
		    size_t);

/* SQLite's words for what was wrong last, with the system's where they say
 * more. Until the next call in this thread. */
const char	*sql_why(sqlite3 *);

/* Runs statements that return nothing. */
enum fault	sql_run(sqlite3 *, const char *sql);

/* The number that a pragma or a count returns; 0 without a row. */
enum fault	sql_number(sqlite3 *, const char *sql, int64_t *n)
		    __attribute__((warn_unused_result));

/* How long the file is, and how long its own header says that it is (bytes 28
 * to 31 of it: its size in pages). 0 and 0 where it cannot be read. */
void		sql_size(sqlite3 *, int64_t page_bytes, int64_t *bytes,
		    int64_t *header_bytes);

/* Where the file is, behind any symbolic link: the log is beside that. */
const char	*sql_path(sqlite3 *);

#endif
