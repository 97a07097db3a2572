#include "wal.h"

#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <sqlite3.h>

#define BUFFER_SIZE	1048576	/* bytes: a batch of 64 small hooks and more */
#define WRITE_MAX	65536	/* SQLite's own VFS takes no more at once */

/* ---- the file, seen from outside ---- */

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

/* ---- the file, written in large pieces ----
 *
 * SQLite writes each page of a commit by itself, and a header of 24 bytes
 * before it: two system calls a page. Here they are collected until SQLite
 * syncs, reads or asks for the size; the bytes and their order stay the same.
 */

/* A WAL that is open. Behind it in memory stands what SQLite's own VFS keeps
 * about the file. */
struct wal_file {
	sqlite3_file	 base;		/* first: SQLite sees only this */
	char		*buf;
	int		 len;		/* of it, not yet in the file */
	sqlite3_int64	 at;		/* where in the file that belongs */
};

static sqlite3_vfs *
parent(sqlite3_vfs *v)
{
	return v->pAppData;
}

static struct wal_file *
wal_of(sqlite3_file *f)
{
	return (struct wal_file *)(void *)f;
}

static sqlite3_file *
real(sqlite3_file *f)
{
	return (sqlite3_file *)(void *)(wal_of(f) + 1);
}

/* What could not be written is forgotten: it belongs to a transaction that
 * fails now, and the next one begins at the same place. */
static int
flush(sqlite3_file *f)
{
	struct wal_file *w = wal_of(f);
	int rc = SQLITE_OK;

	for (int i = 0, n; i < w->len && rc == SQLITE_OK; i += n) {
		n = w->len - i < WRITE_MAX ? w->len - i : WRITE_MAX;
		rc = real(f)->pMethods->xWrite(real(f), w->buf + i, n,
		    w->at + i);
	}
	w->len = 0;
	return rc;
}

static int
on_write(sqlite3_file *f, const void *bytes, int n, sqlite3_int64 at)
{
	struct wal_file *w = wal_of(f);
	int rc = SQLITE_OK;

	if (at != w->at + w->len || n > BUFFER_SIZE - w->len)
		rc = flush(f);
	if (rc != SQLITE_OK)
		return rc;
	if (w->len == 0)
		w->at = at;
	memcpy(w->buf + w->len, bytes, (size_t)n);
	w->len += n;
	return SQLITE_OK;
}

static int
on_read(sqlite3_file *f, void *bytes, int n, sqlite3_int64 at)
{
	int rc = flush(f);

	return rc != SQLITE_OK ? rc :
	    real(f)->pMethods->xRead(real(f), bytes, n, at);
}

static int
on_truncate(sqlite3_file *f, sqlite3_int64 size)
{
	int rc = flush(f);

	return rc != SQLITE_OK ? rc :
	    real(f)->pMethods->xTruncate(real(f), size);
}

static int
on_sync(sqlite3_file *f, int flags)
{
	int rc = flush(f);

	return rc != SQLITE_OK ? rc : real(f)->pMethods->xSync(real(f), flags);
}

static int
on_size(sqlite3_file *f, sqlite3_int64 *size)
{
	int rc = flush(f);

	return rc != SQLITE_OK ? rc :
	    real(f)->pMethods->xFileSize(real(f), size);
}

static int
on_close(sqlite3_file *f)
{
	int rc = flush(f), closed = real(f)->pMethods->xClose(real(f));

	free(wal_of(f)->buf);
	return rc != SQLITE_OK ? rc : closed;
}

/* Nobody locks a WAL. */
static int
on_lock(sqlite3_file *f, int level)
{
	(void)f;
	(void)level;
	return SQLITE_OK;
}

static int
on_is_locked(sqlite3_file *f, int *locked)
{
	(void)f;
	*locked = 0;
	return SQLITE_OK;
}

static int
on_control(sqlite3_file *f, int op, void *arg)
{
	return real(f)->pMethods->xFileControl(real(f), op, arg);
}

static int
on_sector_size(sqlite3_file *f)
{
	return real(f)->pMethods->xSectorSize(real(f));
}

static int
on_characteristics(sqlite3_file *f)
{
	return real(f)->pMethods->xDeviceCharacteristics(real(f));
}

static const sqlite3_io_methods wal_methods = {
	.iVersion = 1,
	.xClose = on_close,
	.xRead = on_read,
	.xWrite = on_write,
	.xTruncate = on_truncate,
	.xSync = on_sync,
	.xFileSize = on_size,
	.xLock = on_lock,
	.xUnlock = on_lock,
	.xCheckReservedLock = on_is_locked,
	.xFileControl = on_control,
	.xSectorSize = on_sector_size,
	.xDeviceCharacteristics = on_characteristics,
};

static int
on_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags,
    int *out)
{
	struct wal_file *w = wal_of(f);
	int rc;

	if (!(flags & SQLITE_OPEN_WAL))
		return parent(v)->xOpen(parent(v), name, f, flags, out);
	*w = (struct wal_file){ .buf = malloc(BUFFER_SIZE) };
	if (w->buf == NULL)
		return SQLITE_NOMEM;
	rc = parent(v)->xOpen(parent(v), name, real(f), flags, out);
	if (rc == SQLITE_OK)
		w->base.pMethods = &wal_methods;
	else
		free(w->buf);
	return rc;
}

static sqlite3_vfs vfs;

static void
add_vfs(void)
{
	sqlite3_vfs *system = sqlite3_vfs_find(NULL);

	vfs = *system;
	vfs.zName = "sentry-webhooks-wal";
	vfs.pNext = NULL;
	vfs.pAppData = system;
	vfs.szOsFile += (int)sizeof(struct wal_file);
	vfs.xOpen = on_open;
	(void)sqlite3_vfs_register(&vfs, 0);
}

const char *
wal_vfs(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, add_vfs);
	return vfs.zName;
}
