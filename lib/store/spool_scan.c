/* One scan, as spool_scan_next() does it, call by call:
 *   1. begin_scan()	opens the folder, reads all names and sorts them; it
 *			also removes temporary files that were left behind
 *   2. read_hook()	reads the next file, checks and observes it
 * For each file the caller then calls spool_scan_remove() or
 * spool_scan_set_aside(). If that cannot be done, mark_stuck() notes the name,
 * and add_name() leaves it out of the scans of the next minute. */
#include "store/spool_scan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "store/spool_file.h"

#define STALE_SECONDS	600	/* an older temporary file: a dead process's */
#define STUCK_MAX	256	/* stuck files that are remembered, */
#define STUCK_SECONDS	60	/* and until they are tried again */

struct spool_scan {
	struct spool	*spool;
	struct span	 observe_list;
	bool		 redact;
	/* The names of this scan, in order. */
	char		(*names)[SPOOL_NAME_SIZE];
	size_t		 count, next;
	unsigned long	 bad;		/* files in the folder, set aside */
	int		 dir;		/* the folder's descriptor */
	char		 current[SPOOL_NAME_SIZE];	/* the last one given */
	char		 stuck[STUCK_MAX][SPOOL_NAME_SIZE];
	size_t		 stuck_count;
	time_t		 stuck_until;	/* seconds, monotonic */
};

static time_t
now_seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

struct spool_scan *
spool_scan_open(struct spool *s, struct span observe_list, bool redact)
{
	struct spool_scan *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->spool = s;
	c->observe_list = observe_list;
	c->redact = redact;
	return c;
}

void
spool_scan_close(struct spool_scan *c)
{
	if (c != NULL)
		free(c->names);
	free(c);
}

/* The file's index among the stuck ones; stuck_count if it is not stuck. */
static size_t
find_stuck(const struct spool_scan *c, const char *name)
{
	size_t i;

	for (i = 0; i < c->stuck_count; i++)
		if (strcmp(c->stuck[i], name) == 0)
			break;
	return i;
}

static void
remove_stuck(struct spool_scan *c, const char *name)
{
	size_t i = find_stuck(c, name);

	if (i == c->stuck_count)
		return;
	memcpy(c->stuck[i], c->stuck[c->stuck_count - 1], SPOOL_NAME_SIZE);
	c->stuck_count--;
}

/* True when it was not stuck before. */
static bool
add_stuck(struct spool_scan *c, const char *name)
{
	c->stuck_until = now_seconds() + STUCK_SECONDS;
	if (c->stuck_count == STUCK_MAX ||
	    find_stuck(c, name) < c->stuck_count)
		return false;
	memcpy(c->stuck[c->stuck_count], name, strlen(name) + 1);
	c->stuck_count++;
	return true;
}

bool
spool_scan_is_stale(int dir, const char *name)
{
	struct stat st;

	return spool_has_suffix(name, ".tmp") &&
	    fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    time(NULL) - st.st_mtime > STALE_SECONDS;
}

static enum fault
add_name(void *scan, int dir, const char *name)
{
	struct spool_scan *c = scan;

	if (spool_scan_is_stale(dir, name))
		(void)unlinkat(dir, name, 0);
	c->bad += spool_has_suffix(name, SPOOL_HOOK SPOOL_BAD);
	if (!spool_has_suffix(name, SPOOL_HOOK) ||
	    strlen(name) + sizeof(SPOOL_BAD) > SPOOL_NAME_SIZE ||
	    (now_seconds() < c->stuck_until &&
	    find_stuck(c, name) < c->stuck_count))
		return FAULT_NONE;
	/* Grows by doubling: count is a power of two when it is full. */
	if ((c->count & (c->count - 1)) == 0) {
		size_t size = c->count == 0 ? 1 : c->count * 2;
		void *names = realloc(c->names, size * sizeof(*c->names));

		if (names == NULL)
			return FAULT_MEMORY;
		c->names = names;
	}
	memcpy(c->names[c->count++], name, strlen(name) + 1);
	return FAULT_NONE;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

static enum fault
begin_scan(struct spool_scan *c)
{
	enum fault f;

	spool_scan_restart(c);
	c->bad = 0;
	/* With so many the folder itself cannot be written to: not yet. */
	if (c->stuck_count == STUCK_MAX && now_seconds() < c->stuck_until)
		return FAULT_NONE;
	if ((f = spool_open_folder(c->spool, &c->dir)) != FAULT_NONE ||
	    (f = spool_each_name(c->dir, add_name, c)) != FAULT_NONE) {
		spool_scan_restart(c);
		return f;
	}
	spool_set_counts(c->spool, c->count, c->bad + c->stuck_count);
	if (c->count > 0)
		qsort(c->names, c->count, sizeof(*c->names), by_name);
	return FAULT_NONE;
}

void
spool_scan_restart(struct spool_scan *c)
{
	free(c->names);
	c->names = NULL;
	c->count = c->next = 0;
}

/* FAULT_REFUSED for a file that is no hook. */
static enum fault
read_hook(struct spool_scan *c, const char *name, struct received **received)
{
	struct text file = { 0 };
	struct hook hook;
	enum fault f = spool_read(c->dir, name, &file);
	char *body = NULL;

	if (f == FAULT_NONE && !spool_file_parse(&hook, text_view(&file)))
		f = FAULT_REFUSED;
	if (f == FAULT_NONE &&
	    (body = malloc(hook.body.len + 1)) == NULL)
		f = FAULT_MEMORY;
	if (f == FAULT_NONE) {
		memcpy(body, hook.body.at, hook.body.len);
		hook.body.at = body;
		hook.redact = c->redact;
		*received = received_new(&hook, body, c->observe_list);
		f = *received == NULL ? FAULT_MEMORY : FAULT_NONE;
	}
	text_release(&file);
	/* cppcheck-suppress memleak; received_new() has taken the body. */
	return f;
}

enum fault
spool_scan_next(struct spool_scan *c, struct received **received,
    const char **name)
{
	enum fault f = FAULT_GONE;

	*received = NULL;
	*name = NULL;
	if (c->next == c->count) {
		bool ended = c->count > 0;

		spool_scan_restart(c);
		if (ended)
			return FAULT_NONE;
		if ((f = begin_scan(c)) != FAULT_NONE)
			return f;
		f = FAULT_GONE;
	}
	/* A file that is gone was imported by another process. */
	while (c->next < c->count && f == FAULT_GONE) {
		memcpy(c->current, c->names[c->next++], SPOOL_NAME_SIZE);
		f = read_hook(c, c->current, received);
	}
	if (f == FAULT_GONE)
		return FAULT_NONE;
	if (f != FAULT_MEMORY && f != FAULT_BUSY)
		*name = c->current;
	return f;
}

/* The file can be neither removed nor renamed. True when that is new. */
static bool
mark_stuck(struct spool_scan *c, const char *name)
{
	bool is_new = add_stuck(c, name);

	spool_count_removed(c->spool, is_new);
	return is_new;
}

bool
spool_scan_remove(struct spool_scan *c, const char *name)
{
	if (unlinkat(c->dir, name, 0) != 0 && errno != ENOENT)
		return mark_stuck(c, name);
	remove_stuck(c, name);
	spool_count_removed(c->spool, false);
	return false;
}

bool
spool_scan_set_aside(struct spool_scan *c, const char *name)
{
	char bad[SPOOL_NAME_SIZE + sizeof(SPOOL_BAD)];
	bool reported = find_stuck(c, name) < c->stuck_count;

	snprintf(bad, sizeof(bad), "%s" SPOOL_BAD, name);
	if (!spool_rename(c->dir, name, bad))
		return mark_stuck(c, name);
	remove_stuck(c, name);
	spool_count_removed(c->spool, true);
	return !reported;
}
