/* The three files of a database: itself, its log (-wal) and the log's index
 * (-shm). What others do to them while they are open is seen here. */
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

/* Notes which files these are: `path` as it was given, since a symbolic link
 * may lead elsewhere one day, `real` as SQLite opened it, which names the other
 * two after that. 0, or -1 with errno when one of them is not there. */
int db_files_remember(struct db_files *, const char *path, const char *real);

/* Whether each path still leads to the file that was noted. Whoever writes
 * asks with the write lock held: nobody else replaces them under it. */
bool	db_files_same(const struct db_files *);

/* When the database is no longer at its path: gives log and index other names,
 * NAME-wal.NUMBER, under which those who have them open go on. Whoever opens
 * what is at the path now would take them for its own. */
void	db_files_set_log_aside(const struct db_files *);

/* Whether somebody has made another index for the log, after ours was taken
 * away, and so has read the log and goes on in it. */
bool	db_files_log_is_shared(const struct db_files *);

/* Removes the log and its index where they still are those that were noted, or
 * were set aside. A new database in their midst would take them for its own. A
 * log that is not goes too when the index is: nobody can read it by that, but
 * would write to it beside those who make a new index. 0, or -1 with errno. */
int	db_files_remove_log(const struct db_files *);

/* Whether a log is at `path`, but no database: it is that of one which was
 * moved before anybody could move the log into it. SQLite throws it away. */
bool	db_files_is_stray_log(const char *path);

/* Of the log of the database at `path`, which is no symbolic link: its length
 * in bytes, 0 where there is none, and when it was last written to. A
 * checkpoint does not shorten it. */
int64_t	db_files_log_bytes(const char *path, struct timespec *written);

#endif
