#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <sqlite3.h>

#include "hook/observe_list.h"
#include "hook/signature.h"
#include "../support/tap.h"
#include "store/writer.h"

#define CALLERS	16
#define EACH	50
#define PATIENCE_MS	120000	/* costs nothing while all is well */

static char		folder[] = "/tmp/unit-writer-XXXXXX";
static char		db[64], spool_path[64];
static struct writer	*writer;
static struct spool	*spool;
static unsigned long	imported;	/* atomic */

static struct received *
received(unsigned n)
{
	struct hook h = { .received_at = 1, .resource = span_of("issue"),
	    .signature = span_of("0") };
	char request_id[16];
	char *body = strdup("{\"action\":\"resolved\","
	    "\"data\":{\"issue\":{}}}");

	snprintf(request_id, sizeof(request_id), "%u", n);
	h.request_id = span_of(request_id);
	h.body = span_of(body);
	return received_new(&h, body, span_of(OBSERVE_LIST_DEFAULT));
}

static enum fault
hand_in(struct received *r, unsigned wait_ms)
{
	struct commit_request w = { .received = r };

	writer_put(writer, &w, 1, wait_ms);
	return w.fault;
}

static enum fault
put(unsigned n, unsigned wait_ms)
{
	struct received *r = received(n);
	enum fault f = hand_in(r, wait_ms);

	if (f != FAULT_NONE && spool_put(spool, &r->hook) != FAULT_NONE)
		abort();
	received_drop(r);
	return f;
}

static void *
caller(void *arg)
{
	unsigned from = *(unsigned *)arg;
	static unsigned bad = 1;

	for (unsigned i = 0; i < EACH; i++)
		if (put(from * EACH + i, PATIENCE_MS) != FAULT_NONE)
			return &bad;
	return NULL;
}

static int64_t
ask(const char *sql)
{
	sqlite3 *c;
	sqlite3_stmt *stmt;
	int64_t n = -1;

	if (sqlite3_open(db, &c) != SQLITE_OK ||
	    sqlite3_busy_timeout(c, PATIENCE_MS) != SQLITE_OK ||
	    sqlite3_prepare_v2(c, sql, -1, &stmt, NULL) != SQLITE_OK)
		abort();
	if (sqlite3_step(stmt) == SQLITE_ROW)
		n = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	sqlite3_close(c);
	return n;
}

static void
many_callers(void)
{
	struct writer_status status;
	pthread_t threads[CALLERS];
	unsigned from[CALLERS];
	void *bad = NULL, *one;

	for (unsigned i = 0; i < CALLERS; i++) {
		from[i] = i;
		if (pthread_create(&threads[i], NULL, caller, &from[i]) != 0)
			abort();
	}
	for (unsigned i = 0; i < CALLERS; i++) {
		pthread_join(threads[i], &one);
		bad = one != NULL ? one : bad;
	}
	writer_status(writer, &status);
	ok(bad == NULL && ask("SELECT count(*) FROM webhook") ==
	    CALLERS * EACH, "%d callers at once are all kept",
	    CALLERS);
	ok(status.rows == CALLERS * EACH && status.commits < status.rows,
	    "and share commits");
}

static bool
becomes(const char *sql, int64_t want)
{
	for (unsigned i = 0; i < PATIENCE_MS / 20; i++) {
		struct timespec ts = { .tv_nsec = 20000000 };

		if (ask(sql) == want)
			return true;
		nanosleep(&ts, NULL);
	}
	return false;
}

static unsigned long
heard(void)
{
	return __atomic_load_n(&imported, __ATOMIC_RELAXED);
}

static void
locked_out(void)
{
	struct writer_status status;
	int64_t rows = ask("SELECT count(*) FROM webhook");
	enum fault f;
	sqlite3 *c;

	/* The writer may hold the lock just then, for a checkpoint. */
	if (sqlite3_open(db, &c) != SQLITE_OK ||
	    sqlite3_busy_timeout(c, PATIENCE_MS) != SQLITE_OK ||
	    sqlite3_exec(c, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK)
		abort();
	ok(put(10000, 100) == FAULT_BUSY, "a lock is waited for, and no "
	    "longer than asked");
	ok(put(10001, 100000) == FAULT_STUCK,
	    "the next one does not wait at all");
	if (sqlite3_exec(c, "ROLLBACK", NULL, NULL, NULL) != SQLITE_OK)
		abort();
	sqlite3_close(c);
	ok(becomes("SELECT count(*) FROM webhook", rows + 2),
	    "the spool is brought in when the lock is gone");
	/* The commit is seen a moment before the writer has said so. The same
	 * hook again and again: it is one row, by the spool or without. */
	while ((f = put(10002, PATIENCE_MS)) == FAULT_STUCK)
		nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
	ok(f == FAULT_NONE, "and the database is used again");
	/* What the writer says of it comes a moment after its commit. */
	for (int i = 0; i < 2000 && heard() < 2; i++)
		nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
	writer_status(writer, &status);
	ok(status.fault == FAULT_NONE && status.imported >= 2 &&
	    heard() >= 2, "and all is well");
}

static void
hear(void *arg, enum writer_event e, enum fault f, const char *why,
    unsigned long count, const struct observation *hook)
{
	(void)arg;
	(void)hook;
	(void)f;
	(void)why;
	if (e == WRITER_IMPORTED)
		__atomic_add_fetch(&imported, count, __ATOMIC_RELAXED);
}

int
main(void)
{
	struct writer_config config = { .db = db, .say = hear };
	char why[DB_WHY];

	if (signature_start() != 0 || mkdtemp(folder) == NULL)
		return 1;
	snprintf(db, sizeof(db), "%s/o.db", folder);
	snprintf(spool_path, sizeof(spool_path), "%s/spool", folder);
	config.spool = spool = spool_open(spool_path);
	config.observe_list = span_of(OBSERVE_LIST_DEFAULT);
	if (writer_start(&writer, &config, why) != FAULT_NONE)
		return 1;
	many_callers();
	locked_out();
	writer_stop(writer);
	spool_close(spool);
	ok(ask("SELECT count(*) FROM webhook") == CALLERS * EACH + 3,
	    "everything is there after the end");
	snprintf(why, sizeof(why), "rm -r %s", folder);
	return system(why) != 0 ? 1 : tap_done();
}
