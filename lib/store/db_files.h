/* The three files of a database: the database itself, its log (NAME-wal) and
 * the log's index (NAME-shm). While they are open somebody may rename, replace
 * or delete any of them: SQLite does not notice, these functions do. */
#ifndef DB_FILES_H
#define DB_FILES_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>
#include <sys/types.h>

enum { DB_FILE_MAIN, DB_FILE_LOG, DB_FILE_INDEX, DB_FILES };

struct db_files {
	char	path[DB_FILES][PATH_MAX + 8];
	dev_t	dev[DB_FILES];
	ino_t	ino[DB_FILES];
};

/* Notes which files these are, by device and inode. `path` is the database's as
 * it was given, since a symbolic link in it may be changed later; `real` is
 * without links, as SQLite opened it: log and index are named after that. 0, or
 * -1 with errno when one of them is not there. */
int	db_files_remember(struct db_files *, const char *path,
	    const char *real);

/* Whether each path still leads to the file that was noted. Before writing,
 * call this with the write lock held: a program that respects the lock does
 * not replace the files meanwhile. */
bool	db_files_same(const struct db_files *);

/* Whether another file is at the database's path by now; false where there is
 * none. */
bool	db_files_replaced(const struct db_files *);

/* Sets log and index aside when their database is no longer at its path:
 * renames them to NAME-wal.INODE and NAME-shm.INODE. A process that has them
 * open keeps using them. Without this, a process that opens the new database at
 * the path would take them for the new one's. */
void	db_files_set_log_aside(const struct db_files *);

/* Whether another process made a new index for our log after ours was deleted.
 * It then has read the log, and appends to it. */
bool	db_files_log_is_shared(const struct db_files *);

/* Whether log and index were both deleted while the database stayed. */
bool	db_files_log_is_deleted(const struct db_files *);

/* Whether, moreover, another process has begun a log of its own since. It does
 * not know what our log holds: not both of them can be moved into the
 * database. */
bool	db_files_log_is_rival(const struct db_files *);

/* Sets such a log and its index aside, as NAME-wal.INODE and NAME-shm.INODE. */
void	db_files_set_rival_aside(const struct db_files *);

/* Removes the noted log and index, at their paths and where they were set
 * aside: a new database would take them for its own. Another log that stands
 * beside our database and our index is removed as well: the index does not
 * describe it, so it cannot be read; but a process with this index would write
 * to it, while others make a new index for it. 0, or -1 with errno. */
int	db_files_remove_log(const struct db_files *);

/* Whether there is a log beside `path` that SQLite would not read: there is no
 * database, or `path` is a link to one, and the log stands beside the link. The
 * database was moved away before the log was moved into it. */
bool	db_files_is_stray_log(const char *path);

/* The length in bytes of the log of the database at `path`, 0 where there is
 * none; *written, unless NULL, is when the log was last written to. `path` must
 * not be a symbolic link. A checkpoint does not make a log shorter. */
int64_t	db_files_log_bytes(const char *path, struct timespec *written);

#endif
