#include "wal.h"

#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

static bool
wal_stat(const char *path, struct stat *st)
{
	char wal[PATH_MAX + 8];

	snprintf(wal, sizeof(wal), "%s-wal", path);
	return stat(wal, st) == 0;
}

int64_t
wal_bytes(const char *path)
{
	struct stat st;

	return wal_stat(path, &st) ? (int64_t)st.st_size : 0;
}

bool
wal_changed(const char *path, int64_t least, const struct timespec *seen)
{
	struct stat st;

	return wal_stat(path, &st) && (int64_t)st.st_size >= least &&
	    (st.st_mtim.tv_sec != seen->tv_sec ||
	    st.st_mtim.tv_nsec != seen->tv_nsec);
}

void
wal_see(const char *path, struct timespec *seen)
{
	struct stat st;

	if (wal_stat(path, &st))
		*seen = st.st_mtim;
}
