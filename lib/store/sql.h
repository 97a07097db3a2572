/* SQLite's calls on one connection, with faults (fault.h) as results. */
#ifndef SQL_H
#define SQL_H

#include <stddef.h>
#include <stdint.h>

#include <sqlite3.h>

#include "base/fault.h"

/* The fault that one of SQLite's result codes stands for, simple or extended.
 * For SQLITE_CANTOPEN it reads errno, which must be as SQLite left it. */
enum fault	sql_fault(int rc);

/* A more exact fault for `f`, which opening `path` has given. Where the folder
 * may not be written to, SQLite says only that there is no file; where the file
 * may not be, only that it cannot open the log. Then `why`, of `size` bytes, is
 * the system's message; else it stays as it is. */
enum fault	sql_open_fault(sqlite3 *, const char *path, enum fault f,
		    char *why, size_t size);

/* SQLite's message about the last error of this connection, with the system's
 * message about a failed system call. Lasts until the next call in this
 * thread. */
const char	*sql_why(sqlite3 *);

/* Runs statements that return nothing. */
enum fault	sql_run(sqlite3 *, const char *sql);

/* Ends a transaction by `f`, the result of its statements: commits it after
 * FAULT_NONE, and rolls it back after anything else or a commit that failed.
 * Returns `f`, or the commit's fault. */
enum fault	sql_end(sqlite3 *, enum fault f)
		    __attribute__((warn_unused_result));

/* Rolls back the transaction that is open. After some errors SQLite has done
 * so by itself: then this does nothing. */
void		sql_rollback(sqlite3 *);

/* Runs a pragma or a query that returns one number: *n, 0 without a row. */
enum fault	sql_number(sqlite3 *, const char *sql, int64_t *n)
		    __attribute__((warn_unused_result));

/* How many bytes the file has, and how many its own header says that it has
 * (sqlite.org/fileformat2.html: bytes 28 to 31 are the size in pages). Both are
 * 0 where the file cannot be read. */
void		sql_size(sqlite3 *, int64_t page_bytes, int64_t *bytes,
		    int64_t *header_bytes);

/* The path of the file itself, with symbolic links resolved. The log's name is
 * made from it. */
const char	*sql_path(sqlite3 *);

#endif
