#include <dirent.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hook/observe_list.h"
#include "hook/signature.h"
#include "store/spool_file.h"
#include "store/spool_scan.h"
#include "../support/tap.h"

static char folder[] = "/tmp/unit-spool-XXXXXX";
static struct span list;

static struct hook
hook_at(int64_t ms, const char *body)
{
	return (struct hook){ .received_at = ms, .resource = span_of("issue"),
	    .request_id = span_of("r"), .timestamp = span_of("1"),
	    .signature = span_of("00ff"), .secret_name = span_of("one"),
	    .body = span_of(body) };
}

/* ---- the form ---- */

static void
round_trip(void)
{
	struct hook in = hook_at(1767225600123, "{\n\n}"), out;
	struct text file = { 0 };

	in.idempotency_key = (struct span){ NULL, 0 };
	spool_file_format(&file, &in);
	ok(spool_file_parse(&out, text_view(&file)) &&
	    out.received_at == in.received_at &&
	    span_is(out.body, "{\n\n}") && span_is(out.resource, "issue") &&
	    span_is(out.secret_name, "one") &&
	    out.idempotency_key.at == NULL,
	    "a hook that is written is read the same");
	text_release(&file);
}

static void
torn(void)
{
	struct hook in = hook_at(1767225600123, "{\"a\":1}"), out;
	struct text file = { 0 };
	size_t taken = 0, flipped = 0;

	spool_file_format(&file, &in);
	for (size_t n = 0; n < file.len; n++)
		taken += spool_file_parse(&out, (struct span){ file.at, n });
	ok(taken == 0, "a file that is cut anywhere is none");
	for (size_t i = 0; i < file.len; i++) {
		file.at[i] ^= 0x10;
		flipped += spool_file_parse(&out, text_view(&file));
		file.at[i] ^= 0x10;
	}
	ok(flipped == 0, "a file with a flipped bit is none");
	text_str(&file, "x");
	ok(!spool_file_parse(&out, text_view(&file)),
	    "nor one that is too long");
	text_release(&file);
}

/* ---- the folder ---- */

/* What is no hook is set aside, as the writer does. */
static struct received *
take(struct spool_scan *r, const char **name)
{
	struct received *received;
	enum fault f;

	while ((f = spool_scan_next(r, &received, name)) == FAULT_REFUSED)
		(void)spool_scan_set_aside(r, *name);
	if (f != FAULT_NONE)
		abort();
	return received;
}

static void
in_order(void)
{
	static const int64_t times[] = { 1767225600500, 1767225600100,
	    1767225600900, 1767225600100 };
	struct spool *s = spool_open(folder);
	struct spool_scan *scan = spool_scan_open(s, list, false);
	const char *name;
	int64_t last = 0;
	int n = 0, ordered = 1;
	struct received *r;

	for (int i = 0; i < 4; i++) {
		struct hook h = hook_at(times[i], "{}");

		ordered &= spool_put(s, &h) == FAULT_NONE;
	}
	ok(ordered && spool_depth(s) == 4, "four hooks wait");
	for (; (r = take(scan, &name)) != NULL; n++) {
		ordered &= r->hook.received_at >= last;
		last = r->hook.received_at;
		received_drop(r);
	}
	ok(n == 4 && ordered, "they are taken by time of receipt");
	ok(spool_depth(s) == 4, "what is only taken still waits");
	while ((r = take(scan, &name)) != NULL) {
		(void)spool_scan_remove(scan, name);
		received_drop(r);
	}
	ok(spool_depth(s) == 0, "what is removed does not");
	spool_scan_close(scan);
	spool_close(s);
}

static void
write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	if (f == NULL)
		abort();
	fputs(text, f);
	fclose(f);
}

static void
strangers(void)
{
	struct spool *s = spool_open(folder);
	struct spool_scan *scan = spool_scan_open(s, list, false);
	struct hook h = hook_at(1767225600100, "{}");
	char path[128];
	const char *name;
	unsigned long n;
	struct received *r;

	snprintf(path, sizeof(path), "%s/0000000000000-0-0.hook", folder);
	write_file(path, "no hook");
	snprintf(path, sizeof(path), "%s/0000000000001-0-0.hook", folder);
	if (mkfifo(path, 0600) != 0)
		abort();
	snprintf(path, sizeof(path), "%s/0000000000002-0-0.hook", folder);
	write_file(path, "");
	if (truncate(path, 300l << 20) != 0)
		abort();
	snprintf(path, sizeof(path), "%s/README", folder);
	write_file(path, "");
	if (spool_put(s, &h) != FAULT_NONE)
		abort();
	r = take(scan, &name);
	ok(r != NULL && r->hook.received_at == h.received_at,
	    "a file that is no hook does not hold up one that is");
	ok(spool_bad(s) == 3 && spool_depth(s) == 1,
	    "it is set aside and counted, as are a FIFO and 300 MiB");
	(void)spool_scan_remove(scan, name);
	received_drop(r);
	ok(access(path, F_OK) == 0, "somebody else's file stays");
	ok(spool_retry(folder, &n) == FAULT_NONE && n == 3,
	    "what was set aside can be tried again");
	spool_scan_restart(scan);
	ok(take(scan, &name) == NULL && spool_bad(s) == 3,
	    "and is no better for it");
	spool_scan_close(scan);
	spool_close(s);
}

static void
unique_names(void)
{
	struct spool *one = spool_open(folder), *two = spool_open(folder);
	struct hook h = hook_at(5, "{}");
	struct spool_scan *scan = spool_scan_open(one, list, false);
	const char *name;
	struct received *r;
	int n = 0;

	ok(spool_put(one, &h) == FAULT_NONE && spool_put(two, &h) ==
	    FAULT_NONE, "two of one process id, at one time, keep a hook each");
	for (; (r = take(scan, &name)) != NULL; n++) {
		(void)spool_scan_remove(scan, name);
		received_drop(r);
	}
	ok(n == 2, "and there are two (%d)", n);
	spool_scan_close(scan);
	spool_close(one);
	spool_close(two);
}

static void
comes_back(void)
{
	struct spool *s;
	struct hook h = hook_at(1, "{}");
	char path[128], away[160], command[160];
	struct stat st;

	snprintf(path, sizeof(path), "%s/sub", folder);
	snprintf(away, sizeof(away), "%s/missing/sub", folder);
	s = spool_open(path);
	ok(spool_put(s, &h) == FAULT_NONE && stat(path, &st) == 0 &&
	    (st.st_mode & 0777) == 0700, "the folder is made, for us alone");
	snprintf(command, sizeof(command), "rm -r %s", path);
	if (system(command) != 0)
		abort();
	ok(spool_put(s, &h) == FAULT_NONE && stat(path, &st) == 0,
	    "a folder that was removed is made again");
	snprintf(away, sizeof(away), "%s/moved", folder);
	if (rename(path, away) != 0)
		abort();
	ok(spool_put(s, &h) == FAULT_NONE && stat(path, &st) == 0,
	    "and so is one that was renamed");
	snprintf(away, sizeof(away), "%s/missing/sub", folder);
	spool_close(s);
	s = spool_open(away);
	ok(spool_put(s, &h) != FAULT_NONE && spool_check(s) != FAULT_NONE,
	    "without a place for the folder nothing is kept");
	snprintf(away, sizeof(away), "%s/missing", folder);
	(void)mkdir(away, 0700);
	ok(spool_put(s, &h) == FAULT_NONE && spool_check(s) == FAULT_NONE,
	    "and then again it is");
	spool_close(s);
}

#define TAKEN_MOST	4096
#define STOP		2	/* 1: one was taken away */
#define PUTS_MOST	4000	/* before that has to happen */

/* Takes every temporary file away once, as one takes it for an old one whose
 * clock was set forth. */
static void *
take_away(void *arg)
{
	static char taken[TAKEN_MOST][SPOOL_NAME_SIZE];
	unsigned *said = arg, count = 0;

	while (__atomic_load_n(said, __ATOMIC_RELAXED) != STOP) {
		char path[64];
		struct dirent *e;
		unsigned i;
		DIR *d;

		snprintf(path, sizeof(path), "%s/forth", folder);
		d = opendir(path);
		while (d != NULL && (e = readdir(d)) != NULL) {
			if (!spool_has_suffix(e->d_name, ".tmp"))
				continue;
			for (i = 0; i < count; i++)
				if (strcmp(taken[i], e->d_name) == 0)
					break;
			if (i < count || count == TAKEN_MOST)
				continue;
			memcpy(taken[count++], e->d_name,
			    strlen(e->d_name) + 1);
			if (unlinkat(dirfd(d), e->d_name, 0) == 0)
				(void)__sync_bool_compare_and_swap(said, 0, 1);
		}
		if (d != NULL)
			closedir(d);
	}
	return NULL;
}

static void
outlives_a_sweep(void)
{
	struct hook h = hook_at(1767225600123, "{\"a\":1}");
	pthread_t thread;
	char path[64];
	unsigned puts = 0, kept = 0, said = 0, taken;
	struct spool *s;

	snprintf(path, sizeof(path), "%s/forth", folder);
	s = spool_open(path);
	if (s == NULL || pthread_create(&thread, NULL, take_away, &said) != 0)
		abort();
	do {
		kept += spool_put(s, &h) == FAULT_NONE;
		taken = __atomic_load_n(&said, __ATOMIC_RELAXED);
	} while (++puts < 500 || (taken == 0 && puts < PUTS_MOST));
	__atomic_store_n(&said, STOP, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	ok(kept == puts && taken != 0,
	    "hooks whose temporary files are taken away are kept");
	spool_close(s);
}

static void
clean_up(void)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -r %s", folder);
	if (system(command) != 0)
		abort();
}

int
main(void)
{
	if (signature_start() != 0 || mkdtemp(folder) == NULL)
		return 1;
	list = span_of(OBSERVE_LIST_DEFAULT);
	round_trip();
	torn();
	in_order();
	strangers();
	unique_names();
	comes_back();
	outlives_a_sweep();
	clean_up();
	return tap_done();
}
