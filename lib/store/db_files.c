#include "store/db_files.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static bool
same(const struct dbfiles *f, int which)
{
	struct stat st;

	return stat(f->path[which], &st) == 0 &&
	    st.st_dev == f->dev[which] && st.st_ino == f->ino[which];
}

int
dbfiles_remember(struct dbfiles *f, const char *path, const char *real)
{
	struct stat st;

	snprintf(f->path[DBFILE_MAIN], sizeof(f->path[0]), "%s", path);
	snprintf(f->path[DBFILE_LOG], sizeof(f->path[0]), "%s-wal", real);
	snprintf(f->path[DBFILE_INDEX], sizeof(f->path[0]), "%s-shm", real);
	for (int i = 0; i < DBFILES; i++) {
		if (stat(f->path[i], &st) != 0)
			return -1;
		f->dev[i] = st.st_dev;
		f->ino[i] = st.st_ino;
	}
	return 0;
}

bool
dbfiles_same(const struct dbfiles *f)
{
	for (int i = 0; i < DBFILES; i++)
		if (!same(f, i))
			return false;
	return true;
}

/* No other file's: it ends with this one's number. */
static void
aside(const struct dbfiles *f, int which, char name[PATH_MAX + 32])
{
	snprintf(name, PATH_MAX + 32, "%s.%ju", f->path[which],
	    (uintmax_t)f->ino[which]);
}

void
dbfiles_set_log_aside(const struct dbfiles *f)
{
	char name[PATH_MAX + 32];

	for (int i = DBFILE_LOG; i < DBFILES && !same(f, DBFILE_MAIN); i++) {
		aside(f, i, name);
		if (same(f, i))
			(void)rename(f->path[i], name);
	}
}

bool
dbfiles_log_is_shared(const struct dbfiles *f)
{
	struct stat st;

	return same(f, DBFILE_MAIN) && same(f, DBFILE_LOG) &&
	    !same(f, DBFILE_INDEX) && stat(f->path[DBFILE_INDEX], &st) == 0;
}

int
dbfiles_remove_log(const struct dbfiles *f)
{
	bool log = same(f, DBFILE_LOG) ||
	    (same(f, DBFILE_MAIN) && same(f, DBFILE_INDEX));
	bool mine[DBFILES] = { false, log, same(f, DBFILE_INDEX) };
	char name[PATH_MAX + 32];

	for (int i = DBFILE_LOG; i < DBFILES; i++) {
		aside(f, i, name);
		(void)unlink(name);
		if (mine[i] && unlink(f->path[i]) != 0 && errno != ENOENT)
			return -1;
	}
	return 0;
}

bool
dbfiles_is_stray_log(const char *path)
{
	struct stat st;

	return (stat(path, &st) != 0 || st.st_size == 0) &&
	    dbfiles_log_bytes(path, NULL) > 0;
}

int64_t
dbfiles_log_bytes(const char *path, struct timespec *written)
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
