#include "store/db_files.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define ASIDE_NAME_SIZE	(PATH_MAX + 32)	/* bytes, with the NUL */

/* Whether this path still leads to the file that was noted. */
static bool
is_noted(const struct db_files *f, int which)
{
	struct stat st;

	return stat(f->path[which], &st) == 0 &&
	    st.st_dev == f->dev[which] && st.st_ino == f->ino[which];
}

int
db_files_remember(struct db_files *f, const char *path, const char *real)
{
	struct stat st;

	snprintf(f->path[DB_FILE_MAIN], sizeof(f->path[0]), "%s", path);
	snprintf(f->path[DB_FILE_LOG], sizeof(f->path[0]), "%s-wal", real);
	snprintf(f->path[DB_FILE_INDEX], sizeof(f->path[0]), "%s-shm", real);
	for (int i = 0; i < DB_FILES; i++) {
		if (stat(f->path[i], &st) != 0)
			return -1;
		f->dev[i] = st.st_dev;
		f->ino[i] = st.st_ino;
	}
	return 0;
}

bool
db_files_same(const struct db_files *f)
{
	for (int i = 0; i < DB_FILES; i++)
		if (!is_noted(f, i))
			return false;
	return true;
}

bool
db_files_replaced(const struct db_files *f)
{
	struct stat st;

	return f->path[DB_FILE_MAIN][0] != '\0' &&
	    stat(f->path[DB_FILE_MAIN], &st) == 0 &&
	    !is_noted(f, DB_FILE_MAIN);
}

/* The name under which a file is set aside. With the inode's number in it, it
 * is no other file's. */
static void
aside_name(const struct db_files *f, int which, ino_t inode,
    char name[ASIDE_NAME_SIZE])
{
	snprintf(name, ASIDE_NAME_SIZE, "%s.%ju", f->path[which],
	    (uintmax_t)inode);
}

void
db_files_set_log_aside(const struct db_files *f)
{
	char name[ASIDE_NAME_SIZE];

	if (is_noted(f, DB_FILE_MAIN))
		return;
	for (int i = DB_FILE_LOG; i < DB_FILES; i++) {
		aside_name(f, i, f->ino[i], name);
		if (is_noted(f, i))
			(void)rename(f->path[i], name);
	}
}

bool
db_files_log_is_shared(const struct db_files *f)
{
	struct stat st;

	return is_noted(f, DB_FILE_MAIN) && is_noted(f, DB_FILE_LOG) &&
	    !is_noted(f, DB_FILE_INDEX) &&
	    stat(f->path[DB_FILE_INDEX], &st) == 0;
}

bool
db_files_log_is_deleted(const struct db_files *f)
{
	return is_noted(f, DB_FILE_MAIN) && !is_noted(f, DB_FILE_LOG) &&
	    !is_noted(f, DB_FILE_INDEX);
}

bool
db_files_log_is_rival(const struct db_files *f)
{
	struct stat st;

	return db_files_log_is_deleted(f) &&
	    stat(f->path[DB_FILE_LOG], &st) == 0 && st.st_size > 0;
}

void
db_files_set_rival_aside(const struct db_files *f)
{
	char name[ASIDE_NAME_SIZE];
	struct stat st;

	for (int i = DB_FILE_LOG; i < DB_FILES; i++)
		if (stat(f->path[i], &st) == 0) {
			aside_name(f, i, st.st_ino, name);
			(void)rename(f->path[i], name);
		}
}

int
db_files_remove_log(const struct db_files *f)
{
	bool log = is_noted(f, DB_FILE_LOG) ||
	    (is_noted(f, DB_FILE_MAIN) && is_noted(f, DB_FILE_INDEX));
	bool mine[DB_FILES] = { false, log, is_noted(f, DB_FILE_INDEX) };
	char name[ASIDE_NAME_SIZE];

	for (int i = DB_FILE_LOG; i < DB_FILES; i++) {
		aside_name(f, i, f->ino[i], name);
		(void)unlink(name);
		if (mine[i] && unlink(f->path[i]) != 0 && errno != ENOENT)
			return -1;
	}
	return 0;
}

bool
db_files_is_stray_log(const char *path)
{
	struct stat st;
	/* SQLite keeps the log beside the file that a link leads to. */
	bool link = lstat(path, &st) == 0 && S_ISLNK(st.st_mode);

	return (link || stat(path, &st) != 0 || st.st_size == 0) &&
	    db_files_log_bytes(path, NULL) > 0;
}

int64_t
db_files_log_bytes(const char *path, struct timespec *written)
{
	char log[PATH_MAX + 8];
	struct stat st;

	snprintf(log, sizeof(log), "%s-wal", path);
	if (stat(log, &st) != 0)
		st = (struct stat){ 0 };
	if (written != NULL)
		*written = st.st_mtim;
	return st.st_size;
}
