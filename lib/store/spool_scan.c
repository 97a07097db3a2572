#include "store/spool_scan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "store/spool_file.h"

#define STALE_SECONDS	600	/* a temporary file of a dead process */
#define STUCK_MAX	256	/* files that cannot even be renamed, */
#define STUCK_SECONDS	60	/* and when they are tried again */

struct spool_scan {
	struct spool	*spool;
	struct span	 observe_list;
	bool		 redact;
	/* Names in order, read once a round. */
	char		(*names)[SPOOL_NAME_SIZE];
	size_t		 count, next;
	unsigned long	 bad;		/* found among them */
	int		 dir;		/* the folder's */
	char		 current[SPOOL_NAME_SIZE];
	/* What can be neither removed nor set aside: passed over. */
	char		 stuck[STUCK_MAX][SPOOL_NAME_SIZE];
	size_t		 stuck_count;
	time_t		 stuck_until;	/* seconds, monotonic */
};

static time_t
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

struct spool_scan *
spool_scan_open(struct spool *s, struct span observe_list, bool redact)
{
	struct spool_scan *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->spool = s;
	r->observe_list = observe_list;
	r->redact = redact;
	return r;
}

void
spool_scan_close(struct spool_scan *r)
{
	if (r != NULL)
		free(r->names);
	free(r);
}

/* Its place among those that are passed over; their number if it is none. */
static size_t
stuck_at(const struct spool_scan *r, const char *name)
{
	size_t i;

	for (i = 0; i < r->stuck_count; i++)
		if (strcmp(r->stuck[i], name) == 0)
			break;
	return i;
}

static void
unstick(struct spool_scan *r, const char *name)
{
	size_t i = stuck_at(r, name);

	if (i == r->stuck_count)
		return;
	memcpy(r->stuck[i], r->stuck[r->stuck_count - 1], SPOOL_NAME_SIZE);
	r->stuck_count--;
}

/* True when it is one more. */
static bool
stick(struct spool_scan *r, const char *name)
{
	r->stuck_until = now() + STUCK_SECONDS;
	if (r->stuck_count == STUCK_MAX ||
	    stuck_at(r, name) < r->stuck_count)
		return false;
	memcpy(r->stuck[r->stuck_count], name, strlen(name) + 1);
	r->stuck_count++;
	return true;
}

static void
sweep(int dir, const char *name)
{
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    time(NULL) - st.st_mtime > STALE_SECONDS)
		(void)unlinkat(dir, name, 0);
}

static enum fault
collect(void *round, int dir, const char *name)
{
	struct spool_scan *r = round;

	if (spool_is(name, ".tmp"))
		sweep(dir, name);
	r->bad += spool_is(name, SPOOL_HOOK SPOOL_BAD);
	if (!spool_is(name, SPOOL_HOOK) ||
	    strlen(name) + sizeof(SPOOL_BAD) > SPOOL_NAME_SIZE ||
	    (now() < r->stuck_until &&
	    stuck_at(r, name) < r->stuck_count))
		return FAULT_NONE;
	/* Grows by doubling: count is a power of two when it is full. */
	if ((r->count & (r->count - 1)) == 0) {
		size_t size = r->count == 0 ? 1 : r->count * 2;
		void *names = realloc(r->names, size * sizeof(*r->names));

		if (names == NULL)
			return FAULT_MEMORY;
		r->names = names;
	}
	memcpy(r->names[r->count++], name, strlen(name) + 1);
	return FAULT_NONE;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

static enum fault
begin_round(struct spool_scan *r)
{
	enum fault f;

	spool_scan_restart(r);
	r->bad = 0;
	/* So many that cannot be removed: it is the folder, not the file. */
	if (r->stuck_count == STUCK_MAX && now() < r->stuck_until)
		return FAULT_NONE;
	if ((f = spool_folder(r->spool, &r->dir)) != FAULT_NONE ||
	    (f = spool_names(r->dir, collect, r)) != FAULT_NONE) {
		spool_scan_restart(r);
		return f;
	}
	spool_counted(r->spool, r->count, r->bad + r->stuck_count);
	if (r->count > 0)
		qsort(r->names, r->count, sizeof(*r->names), by_name);
	return FAULT_NONE;
}

void
spool_scan_restart(struct spool_scan *r)
{
	free(r->names);
	r->names = NULL;
	r->count = r->next = 0;
}

/* FAULT_REFUSED for a file that is no hook. */
static enum fault
read_receipt(struct spool_scan *r, const char *name, struct received **received)
{
	struct text file = { 0 };
	struct hook hook;
	enum fault f = spool_read(r->dir, name, &file);
	char *body = NULL;

	if (f == FAULT_NONE && !spool_file_parse(&hook, text_view(&file)))
		f = FAULT_REFUSED;
	if (f == FAULT_NONE &&
	    (body = malloc(hook.body.len + 1)) == NULL)
		f = FAULT_MEMORY;
	if (f == FAULT_NONE) {
		memcpy(body, hook.body.at, hook.body.len);
		hook.body.at = body;
		hook.redact = r->redact;
		*received = received_new(&hook, body, r->observe_list);
		f = *received == NULL ? FAULT_MEMORY : FAULT_NONE;
	}
	text_release(&file);
	/* cppcheck-suppress memleak; received_new() has taken the body. */
	return f;
}

enum fault
spool_scan_next(
    struct spool_scan *r, struct received **received, const char **name)
{
	enum fault f = FAULT_GONE;

	*received = NULL;
	*name = NULL;
	if (r->next == r->count) {
		bool over = r->count > 0;

		spool_scan_restart(r);
		if (over)
			return FAULT_NONE;
		if ((f = begin_round(r)) != FAULT_NONE)
			return f;
		f = FAULT_GONE;
	}
	/* Another process may have been quicker. */
	while (r->next < r->count && f == FAULT_GONE) {
		memcpy(r->current, r->names[r->next++], SPOOL_NAME_SIZE);
		f = read_receipt(r, r->current, received);
	}
	if (f == FAULT_GONE)
		return FAULT_NONE;
	if (f != FAULT_MEMORY && f != FAULT_BUSY)
		*name = r->current;
	return f;
}

/* It is neither: known already, or from now on. */
static bool
pass_over(struct spool_scan *r, const char *name)
{
	bool fresh = stick(r, name);

	spool_one_less(r->spool, fresh);
	return fresh;
}

bool
spool_scan_remove(struct spool_scan *r, const char *name)
{
	if (unlinkat(r->dir, name, 0) != 0 && errno != ENOENT)
		return pass_over(r, name);
	unstick(r, name);
	spool_one_less(r->spool, false);
	return false;
}

bool
spool_scan_set_aside(struct spool_scan *r, const char *name)
{
	char bad[SPOOL_NAME_SIZE + sizeof(SPOOL_BAD)];
	bool said = stuck_at(r, name) < r->stuck_count;

	snprintf(bad, sizeof(bad), "%s" SPOOL_BAD, name);
	if (!spool_rename(r->dir, name, bad))
		return pass_over(r, name);
	unstick(r, name);
	spool_one_less(r->spool, true);
	return !said;
}
