/* The folder, and putting hooks into it. spool_put() takes these steps, so that
 * a file with a hook's name is always whole, and on stable storage:
 *   1. spool_open_folder()	makes and opens the folder, or finds it open
 *   2. write_temporary()	writes NAME.tmp and syncs it
 *   3. spool_rename()		gives it its name, NAME.hook
 *   4. fsync()			of the folder, so that the name stays
 * The way out of the folder is in spool_scan.c and spool_import.c. */
#include "store/spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "store/spool_file.h"

#define FILE_BYTES_MAX	(129l << 20)	/* above any limit of a body */
#define PUT_TRIES	3	/* when somebody deletes the temporary file */
#define PROBE_BYTES	16384	/* as long as an ordinary hook */

struct spool {
	const char	*path;
	pthread_mutex_t	 lock;		/* held while the folder is opened, so
					 * that one thread does it */
	int		 dir;		/* the folder's descriptor; atomic; -1:
					 * it was not opened yet */
	unsigned long	 depth;		/* atomic; spool_depth() */
	unsigned long	 bad;		/* atomic; spool_bad() */
	unsigned	 sequence;	/* atomic; the next file's number */
	uint64_t	 origin;	/* random: nobody else's */
	enum fault	 fault;		/* atomic; of the last spool_put() */
};

bool
spool_has_suffix(const char *name, const char *suffix)
{
	size_t n = strlen(name), m = strlen(suffix);

	return n > m && n < SPOOL_NAME_SIZE &&
	    strcmp(name + n - m, suffix) == 0;
}

/* It opens a descriptor of its own: threads that share one also share the
 * position in it. */
enum fault
spool_each_name(int dir, enum fault (*each)(void *, int, const char *),
    void *arg)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	enum fault f = FAULT_NONE;
	struct dirent *e;

	if (d == NULL) {
		f = fault_errno(errno);
		if (fd >= 0)
			close(fd);
		return f;
	}
	while (f == FAULT_NONE && (e = readdir(d)) != NULL)
		f = each(arg, dir, e->d_name);
	closedir(d);
	return f;
}

/* The name of a folder that was just made stands in the folder above: that one
 * has to be synced as well. */
static enum fault
sync_parent(int dir)
{
	int fd = openat(dir, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	enum fault f = FAULT_NONE;

	if (fd < 0)		/* execute permission alone: not readable */
		return FAULT_NONE;
	if (fsync(fd) != 0)
		f = fault_errno(errno);
	close(fd);
	return f;
}

/* With the lock held: opens the folder, and makes it where there is none. If a
 * folder was open that was removed or renamed since, the new one takes over its
 * descriptor's number: other threads may be using that. */
static enum fault
open_folder(struct spool *s)
{
	enum fault f = FAULT_NONE;
	bool made = mkdir(s->path, 0700) == 0;
	int fd;

	if (!made && errno != EEXIST)
		return fault_errno(errno);
	fd = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return fault_errno(errno);
	if (made)
		f = sync_parent(fd);
	if (f == FAULT_NONE && s->dir < 0) {
		__atomic_store_n(&s->dir, fd, __ATOMIC_RELEASE);
		return f;
	}
	if (f == FAULT_NONE && dup3(fd, s->dir, O_CLOEXEC) < 0)
		f = fault_errno(errno);
	close(fd);
	return f;
}

/* Whether the path leads to the folder that is open. */
static bool
is_current(const struct spool *s, int dir)
{
	struct stat open, now;

	return dir >= 0 && fstat(dir, &open) == 0 &&
	    stat(s->path, &now) == 0 && open.st_dev == now.st_dev &&
	    open.st_ino == now.st_ino;
}

enum fault
spool_open_folder(struct spool *s, int *dir)
{
	enum fault f = FAULT_NONE;

	*dir = __atomic_load_n(&s->dir, __ATOMIC_ACQUIRE);
	if (is_current(s, *dir))
		return FAULT_NONE;
	pthread_mutex_lock(&s->lock);
	if (!is_current(s, s->dir))
		f = open_folder(s);
	*dir = s->dir;
	pthread_mutex_unlock(&s->lock);
	return f;
}

struct spool *
spool_open(const char *path)
{
	struct spool *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->path = path;
	s->dir = -1;
	/* Without random bytes, time and process id have to do. */
	if (getentropy(&s->origin, sizeof(s->origin)) != 0)
		s->origin = (uint64_t)time(NULL) << 32 | (uint32_t)getpid();
	pthread_mutex_init(&s->lock, NULL);
	return s;
}

void
spool_close(struct spool *s)
{
	if (s == NULL)
		return;
	if (s->dir >= 0)
		close(s->dir);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

unsigned long
spool_depth(const struct spool *s)
{
	return __atomic_load_n(&s->depth, __ATOMIC_RELAXED);
}

unsigned long
spool_bad(const struct spool *s)
{
	return __atomic_load_n(&s->bad, __ATOMIC_RELAXED);
}

void
spool_set_counts(struct spool *s, unsigned long depth, unsigned long bad)
{
	__atomic_store_n(&s->depth, depth, __ATOMIC_RELAXED);
	__atomic_store_n(&s->bad, bad, __ATOMIC_RELAXED);
}

void
spool_count_removed(struct spool *s, bool bad)
{
	unsigned long n = spool_depth(s);

	while (n > 0 && !__atomic_compare_exchange_n(&s->depth, &n, n - 1,
	    false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
	__atomic_add_fetch(&s->bad, bad, __ATOMIC_RELAXED);
}

/* ---- putting a hook ---- */

/* Leaves a whole, synced file, or none. */
static enum fault
write_temporary(int dir, const char *temporary, struct span bytes)
{
	enum fault f = FAULT_NONE;
	int fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_EXCL |
	    O_CLOEXEC, 0600);

	if (fd < 0)
		return fault_errno(errno);
	if (!file_write(fd, bytes) || fsync(fd) != 0)
		f = fault_errno(errno);
	if (close(fd) != 0 && f == FAULT_NONE)
		f = fault_errno(errno);
	if (f != FAULT_NONE)
		(void)unlinkat(dir, temporary, 0);
	return f;
}

/* Not every file system knows RENAME_NOREPLACE: there we look first. */
bool
spool_rename(int dir, const char *from, const char *to)
{
	if (renameat2(dir, from, dir, to, RENAME_NOREPLACE) == 0)
		return true;
	return (errno == EINVAL || errno == ENOSYS) &&
	    faccessat(dir, to, F_OK, AT_SYMLINK_NOFOLLOW) != 0 &&
	    renameat(dir, from, dir, to) == 0;
}

/* If the temporary file is gone before it could be renamed, another process
 * took it for a dead one's (spool_scan.c), perhaps because the clock was set
 * forward: then it is written once more. */
static enum fault
put_file(struct spool *s, const char *temporary, const char *name,
    struct span bytes)
{
	bool renamed = false;
	enum fault f;
	int dir;

	for (int i = 0; i < PUT_TRIES && !renamed; i++) {
		if ((f = spool_open_folder(s, &dir)) != FAULT_NONE ||
		    (f = write_temporary(dir, temporary, bytes)) != FAULT_NONE)
			return f;
		renamed = spool_rename(dir, temporary, name);
		if (!renamed && errno != ENOENT)
			break;
	}
	if (!renamed) {
		f = fault_errno(errno);
		(void)unlinkat(dir, temporary, 0);
		return f;
	}
	/* From here on the file can be seen, and imported. */
	__atomic_add_fetch(&s->depth, 1, __ATOMIC_RELAXED);
	return fsync(dir) == 0 ? FAULT_NONE : fault_errno(errno);
}

enum fault
spool_put(struct spool *s, const struct hook *h)
{
	char name[SPOOL_NAME_SIZE], temporary[SPOOL_NAME_SIZE];
	struct text file = { 0 };
	enum fault f = FAULT_MEMORY;

	/* Sorted by name, files are in the order of receipt. The origin keeps
	 * apart the processes that share the folder, in two containers, say. */
	snprintf(name, sizeof(name), "%013" PRId64 "-%010u-%016" PRIx64
	    SPOOL_HOOK, h->received_at, __atomic_add_fetch(&s->sequence, 1,
	    __ATOMIC_RELAXED), s->origin);
	snprintf(temporary, sizeof(temporary), "%.*s.tmp",
	    (int)(strlen(name) - strlen(SPOOL_HOOK)), name);
	spool_file_format(&file, h);
	if (!file.broken)
		f = put_file(s, temporary, name, text_view(&file));
	text_release(&file);
	__atomic_store_n(&s->fault, f, __ATOMIC_RELAXED);
	return f;
}

/* If the last hook could not be put here: writes and removes a file, to see
 * whether one could be put now. */
static enum fault
probe_folder(struct spool *s, int dir)
{
	static const char zeros[PROBE_BYTES];
	char name[SPOOL_NAME_SIZE];
	enum fault f = __atomic_load_n(&s->fault, __ATOMIC_RELAXED);

	if (f == FAULT_NONE)
		return f;
	snprintf(name, sizeof(name), "probe-%u-%016" PRIx64 ".tmp",
	    __atomic_add_fetch(&s->sequence, 1, __ATOMIC_RELAXED), s->origin);
	f = write_temporary(dir, name, (struct span){ zeros, sizeof(zeros) });
	if (f == FAULT_NONE) {
		(void)unlinkat(dir, name, 0);
		if (fsync(dir) != 0)
			f = fault_errno(errno);
	}
	__atomic_store_n(&s->fault, f, __ATOMIC_RELAXED);
	return f;
}

/* Only root may use the last blocks of most disks. */
static bool
is_disk_full(int dir)
{
	struct statvfs disk;

	return fstatvfs(dir, &disk) == 0 && disk.f_blocks > 0 &&
	    (geteuid() == 0 ? disk.f_bfree : disk.f_bavail) * disk.f_frsize <
	    PROBE_BYTES;
}

enum fault
spool_check(struct spool *s)
{
	int dir;
	enum fault f = spool_open_folder(s, &dir);

	if (f == FAULT_NONE && faccessat(dir, ".", R_OK | W_OK | X_OK, 0) != 0)
		f = fault_errno(errno);
	if (f == FAULT_NONE && is_disk_full(dir))
		f = FAULT_FULL;
	return f == FAULT_NONE ? probe_folder(s, dir) : f;
}

/* ---- reading a file, and trying bad ones again ---- */

enum fault
spool_read(int dir, const char *name, struct text *file)
{
	struct stat st;
	int fd = file_open_regular(dir, name, O_NOFOLLOW, &st);
	enum fault f = FAULT_NONE;

	if (fd < 0)
		return errno == ENOENT ? FAULT_GONE : errno == ELOOP ||
		    errno == ENXIO || errno == EINVAL ? FAULT_REFUSED :
		    errno == EMFILE || errno == ENFILE ? FAULT_BUSY :
		    fault_errno(errno);
	if (st.st_size > FILE_BYTES_MAX)
		f = FAULT_REFUSED;
	else if (!file_read_text(fd, file, FILE_BYTES_MAX))
		f = fault_errno(errno);
	close(fd);
	return file->broken ? FAULT_MEMORY : f;
}

static enum fault
restore_name(void *count, int dir, const char *name)
{
	char old[SPOOL_NAME_SIZE];

	if (!spool_has_suffix(name, SPOOL_HOOK SPOOL_BAD))
		return FAULT_NONE;
	snprintf(old, sizeof(old), "%.*s",
	    (int)(strlen(name) - strlen(SPOOL_BAD)), name);
	if (!spool_rename(dir, name, old))
		return fault_errno(errno);
	++*(unsigned long *)count;
	return FAULT_NONE;
}

enum fault
spool_retry(const char *path, unsigned long *count)
{
	int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	enum fault f;

	*count = 0;
	if (dir < 0)
		return errno == ENOENT ? FAULT_GONE : fault_errno(errno);
	f = spool_each_name(dir, restore_name, count);
	close(dir);
	return f;
}
