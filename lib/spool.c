#include "spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "record.h"

#define SUFFIX		".hook"
#define FILE_MAX	(256l << 20)	/* bytes; far above any body's limit */
#define PROBE_BYTES	16384	/* as much as a hook may have */
#define STALE_SECONDS	600		/* a temporary file of a dead process */

struct spool {
	const char	*path;
	bool		 redact;
	pthread_mutex_t	 lock;		/* guards opening the folder */
	int		 dir;		/* atomic; -1: not yet there */
	unsigned long	 waiting;	/* atomic */
	unsigned long	 bad;		/* atomic */
	unsigned	 sequence;	/* atomic */
	enum fault	 fault;		/* atomic; of the last hook put here */
	/* The round: names in order, read once. */
	char		(*names)[SPOOL_NAME_SIZE];
	size_t		 count, next;
	char		 current[SPOOL_NAME_SIZE];
};

static bool
has_suffix(const char *name, const char *suffix)
{
	size_t n = strlen(name), m = strlen(suffix);

	return n > m && n < SPOOL_NAME_SIZE &&
	    strcmp(name + n - m, suffix) == 0;
}

/* Calls `each` for every name; the folder is opened anew, so that rounds do
 * not share a position. */
static enum fault
for_names(struct spool *s, int dir,
    enum fault (*each)(struct spool *, int dir, const char *))
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
		f = each(s, dir, e->d_name);
	closedir(d);
	return f;
}

static enum fault
survey(struct spool *s, int dir, const char *name)
{
	struct stat st;

	if (has_suffix(name, SUFFIX))
		__atomic_add_fetch(&s->waiting, 1, __ATOMIC_RELAXED);
	else if (has_suffix(name, ".bad"))
		__atomic_add_fetch(&s->bad, 1, __ATOMIC_RELAXED);
	else if (has_suffix(name, ".tmp") &&
	    fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    time(NULL) - st.st_mtime > STALE_SECONDS)
		(void)unlinkat(dir, name, 0);
	return FAULT_NONE;
}

/* A folder that was just made is itself a change of the one above. */
static enum fault
sync_parent(int dir)
{
	int fd = openat(dir, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	enum fault f = FAULT_NONE;

	if (fd < 0)		/* we may pass through it, but not read it */
		return FAULT_NONE;
	if (fsync(fd) != 0)
		f = fault_errno(errno);
	close(fd);
	return f;
}

/* Opens the folder, and makes it where there is none. One that was removed
 * under us (it has no links any more) is made anew, behind the same
 * descriptor: others may be using it now. */
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
	if (f == FAULT_NONE && s->dir < 0 &&
	    (f = for_names(s, fd, survey)) == FAULT_NONE) {
		__atomic_store_n(&s->dir, fd, __ATOMIC_RELEASE);
		return f;
	}
	if (f == FAULT_NONE && dup3(fd, s->dir, O_CLOEXEC) < 0)
		f = fault_errno(errno);
	close(fd);
	return f;
}

static enum fault
folder(struct spool *s, int *dir)
{
	enum fault f = FAULT_NONE;
	struct stat st;

	*dir = __atomic_load_n(&s->dir, __ATOMIC_ACQUIRE);
	if (*dir >= 0 && fstat(*dir, &st) == 0 && st.st_nlink > 0)
		return FAULT_NONE;
	pthread_mutex_lock(&s->lock);
	if (s->dir < 0 || fstat(s->dir, &st) != 0 || st.st_nlink == 0)
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
	pthread_mutex_init(&s->lock, NULL);
	return s;
}

void
spool_redact(struct spool *s)
{
	s->redact = true;
}

void
spool_close(struct spool *s)
{
	if (s == NULL)
		return;
	if (s->dir >= 0)
		close(s->dir);
	pthread_mutex_destroy(&s->lock);
	free(s->names);
	free(s);
}

unsigned long
spool_waiting(const struct spool *s)
{
	return __atomic_load_n(&s->waiting, __ATOMIC_RELAXED);
}

unsigned long
spool_bad(const struct spool *s)
{
	return __atomic_load_n(&s->bad, __ATOMIC_RELAXED);
}

/* ---- putting ---- */

static bool
write_all(int fd, struct span s)
{
	while (s.len > 0) {
		ssize_t n = write(fd, s.at, s.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		s.at += n;
		s.len -= (size_t)n;
	}
	return true;
}

/* A whole, synced file, or none. */
static enum fault
put_temporary(int dir, const char *temporary, struct span bytes)
{
	enum fault f = FAULT_NONE;
	int fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_EXCL |
	    O_CLOEXEC, 0600);

	if (fd < 0)
		return fault_errno(errno);
	if (!write_all(fd, bytes) || fsync(fd) != 0)
		f = fault_errno(errno);
	if (close(fd) != 0 && f == FAULT_NONE)
		f = fault_errno(errno);
	if (f != FAULT_NONE)
		(void)unlinkat(dir, temporary, 0);
	return f;
}

static enum fault
put_file(struct spool *s, const char *temporary, const char *name,
    struct span bytes)
{
	int dir;
	enum fault f = folder(s, &dir);

	if (f == FAULT_NONE)
		f = put_temporary(dir, temporary, bytes);
	if (f != FAULT_NONE)
		return f;
	if (renameat(dir, temporary, dir, name) != 0) {
		f = fault_errno(errno);
		(void)unlinkat(dir, temporary, 0);
		return f;
	}
	/* From here on the file may be seen, and brought in. */
	__atomic_add_fetch(&s->waiting, 1, __ATOMIC_RELAXED);
	return fsync(dir) == 0 ? FAULT_NONE : fault_errno(errno);
}

enum fault
spool_put(struct spool *s, const struct hook *h)
{
	char name[SPOOL_NAME_SIZE], temporary[SPOOL_NAME_SIZE];
	struct text file = { 0 };
	enum fault f = FAULT_MEMORY;

	/* The order of names is the order of receipt; the process id keeps
	 * two processes apart. */
	snprintf(name, sizeof(name), "%013" PRId64 "-%010u-%d" SUFFIX,
	    h->received_at, __atomic_add_fetch(&s->sequence, 1,
	    __ATOMIC_RELAXED), (int)getpid());
	snprintf(temporary, sizeof(temporary), "%.*s.tmp",
	    (int)(strlen(name) - strlen(SUFFIX)), name);
	record_format(&file, h);
	if (!file.broken)
		f = put_file(s, temporary, name, text_view(&file));
	text_release(&file);
	__atomic_store_n(&s->fault, f, __ATOMIC_RELAXED);
	return f;
}

/* When the last hook could not be put here: whether one could be now. */
static enum fault
try_again(struct spool *s, int dir)
{
	static const char zeros[PROBE_BYTES];
	char name[SPOOL_NAME_SIZE];
	enum fault f = __atomic_load_n(&s->fault, __ATOMIC_RELAXED);

	if (f == FAULT_NONE)
		return f;
	snprintf(name, sizeof(name), "probe-%u-%d.tmp",
	    __atomic_add_fetch(&s->sequence, 1, __ATOMIC_RELAXED),
	    (int)getpid());
	f = put_temporary(dir, name, (struct span){ zeros, sizeof(zeros) });
	if (f == FAULT_NONE) {
		(void)unlinkat(dir, name, 0);
		if (fsync(dir) != 0)
			f = fault_errno(errno);
	}
	__atomic_store_n(&s->fault, f, __ATOMIC_RELAXED);
	return f;
}

enum fault
spool_check(struct spool *s)
{
	int dir;
	enum fault f = folder(s, &dir);

	if (f == FAULT_NONE && faccessat(dir, ".", R_OK | W_OK | X_OK, 0) != 0)
		f = fault_errno(errno);
	return f == FAULT_NONE ? try_again(s, dir) : f;
}

/* ---- bringing in ---- */

static enum fault
collect(struct spool *s, int dir, const char *name)
{
	(void)dir;
	if (!has_suffix(name, SUFFIX))
		return FAULT_NONE;
	/* Grows by doubling: count is a power of two when it is full. */
	if ((s->count & (s->count - 1)) == 0) {
		size_t size = s->count == 0 ? 1 : s->count * 2;
		void *names = realloc(s->names, size * sizeof(*s->names));

		if (names == NULL)
			return FAULT_MEMORY;
		s->names = names;
	}
	memcpy(s->names[s->count++], name, strlen(name) + 1);
	return FAULT_NONE;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

static enum fault
begin_round(struct spool *s)
{
	enum fault f;
	int dir;

	spool_again(s);
	if ((f = folder(s, &dir)) != FAULT_NONE ||
	    (f = for_names(s, dir, collect)) != FAULT_NONE) {
		spool_again(s);
		return f;
	}
	if (s->count > 0)
		qsort(s->names, s->count, sizeof(*s->names), by_name);
	return FAULT_NONE;
}

void
spool_again(struct spool *s)
{
	free(s->names);
	s->names = NULL;
	s->count = s->next = 0;
}

static enum fault
read_file(struct spool *s, const char *name, struct text *file)
{
	int fd = openat(s->dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	enum fault f = FAULT_NONE;
	char buf[16384];
	ssize_t n;

	if (fd < 0)
		return fault_errno(errno);
	while ((n = read(fd, buf, sizeof(buf))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 || file->len > FILE_MAX) {
			f = FAULT_IO;
			break;
		}
		text_add(file, buf, (size_t)n);
	}
	close(fd);
	return file->broken ? FAULT_MEMORY : f;
}

/* FAULT_REFUSED for a file that is no hook. */
static enum fault
read_receipt(struct spool *s, const char *name, struct span observe_list,
    struct receipt **receipt)
{
	struct text file = { 0 };
	struct hook hook;
	enum fault f = read_file(s, name, &file);
	char *body = NULL;

	if (f == FAULT_NONE && !record_parse(&hook, text_view(&file)))
		f = FAULT_REFUSED;
	if (f == FAULT_NONE &&
	    (body = malloc(hook.body.len + 1)) == NULL)
		f = FAULT_MEMORY;
	if (f == FAULT_NONE) {
		memcpy(body, hook.body.at, hook.body.len);
		hook.body.at = body;
		hook.redact = s->redact;
		*receipt = receipt_new(&hook, body, observe_list);
		f = *receipt == NULL ? FAULT_MEMORY : FAULT_NONE;
	}
	text_release(&file);
	/* cppcheck-suppress memleak; receipt_new() has taken the body. */
	return f;
}

enum fault
spool_take(struct spool *s, struct span observe_list,
    struct receipt **receipt, const char **name)
{
	enum fault f;

	*receipt = NULL;
	*name = s->current;
	if (s->next == s->count) {
		bool over = s->count > 0;

		spool_again(s);
		if (over)
			return FAULT_NONE;
		if ((f = begin_round(s)) != FAULT_NONE)
			return f;
	}
	while (s->next < s->count) {
		memcpy(s->current, s->names[s->next++], SPOOL_NAME_SIZE);
		f = read_receipt(s, s->current, observe_list, receipt);
		if (f == FAULT_NONE || f == FAULT_MEMORY)
			return f;
		/* What cannot be read now, but is a hook, waits for the next
		 * round; what is none never will be. */
		if (f == FAULT_REFUSED)
			spool_set_aside(s, s->current);
	}
	return FAULT_NONE;
}

/* One fewer, wherever it went; another process may have added files that
 * were never counted here. */
static void
count_down(struct spool *s)
{
	unsigned long n = spool_waiting(s);

	while (n > 0 && !__atomic_compare_exchange_n(&s->waiting, &n, n - 1,
	    false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

void
spool_remove(struct spool *s, const char *name)
{
	if (unlinkat(s->dir, name, 0) == 0 || errno == ENOENT)
		count_down(s);
}

void
spool_set_aside(struct spool *s, const char *name)
{
	char bad[SPOOL_NAME_SIZE + 8];

	snprintf(bad, sizeof(bad), "%s.bad", name);
	if (renameat(s->dir, name, s->dir, bad) == 0) {
		count_down(s);
		__atomic_add_fetch(&s->bad, 1, __ATOMIC_RELAXED);
	}
}
