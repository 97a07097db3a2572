/* The writer's thread. Until writer_stop(), run_thread() repeats these steps:
 *
 *   1. wait_for_work()		sleeps until there is a request in the queue,
 *				or something else is due
 *   2. do_round()		calls those of these functions that are due; the
 *				first fault ends the step:
 *	writer_db_retire()	empties the log of files that were moved away
 *	writer_db_open()	opens the database, if it is closed
 *	writer_db_check()	opens it once more, to see damage on the disk
 *	writer_commit_queued()	commits the hooks of the queue
 *	look_at_mapping()	sees whether workspace_map was edited
 *	import_spooled()	commits some hooks of the spool
 *	remap_some()		looks for the workspaces of some unmapped rows
 *   3. end_round()		without a fault: a checkpoint, if the log is
 *				long; after FAULT_BUSY (another process has the
 *				write lock): nothing, the next round tries
 *				again; after any other fault: writer_db_leave()
 *				closes the database, and a later round opens it
 *   4. writer_commit_finish()	only while the database is closed: all requests
 *				of the queue end with the fault, and their
 *				callers put the hooks into the spool */
#include "store/writer_private.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"

#define REMAP_ROWS_MAX	500	/* unmapped rows in a transaction */
#define TICK_MS		500	/* between two looks at the mapping table */
#define HANGS_MS	2000	/* without a sign of life: it hangs */
#define LOCKED_SAY_MS	250	/* a lock that is held longer is reported */

static void
report_hook(struct writer *w, enum writer_event e, enum fault f,
    const char *why, unsigned long count, const struct observation *hook)
{
	if (w->config.say != NULL)
		w->config.say(w->config.arg, e, f, why, count, hook);
}

void
writer_report(struct writer *w, enum writer_event e, enum fault f,
    const char *why, unsigned long count)
{
	report_hook(w, e, f, why, count, NULL);
}

void
writer_put(struct writer *w, struct commit_request *requests, unsigned count,
    unsigned wait_ms)
{
	commit_queue_put(w->queue, requests, count, wait_ms);
}

void
writer_status(struct writer *w, struct writer_status *status)
{
	int64_t alive_at = __atomic_load_n(&w->alive_at, __ATOMIC_RELAXED);

	pthread_mutex_lock(&w->lock);
	*status = w->status;
	pthread_mutex_unlock(&w->lock);
	status->queued = commit_queue_queued(w->queue);
	status->hangs = alive_at != 0 && clock_ms() - alive_at > HANGS_MS;
	if (!status->hangs)
		return;
	status->fault = FAULT_STUCK;
	snprintf(status->why, sizeof(status->why), "the writer hangs");
}

void
writer_set_alive(struct writer *w)
{
	__atomic_store_n(&w->alive_at, clock_ms(), __ATOMIC_RELAXED);
}

/* The status comes last: who reads it there finds the queue and the log so. The
 * writer's thread alone changes it. */
static void
set_fault(struct writer *w, enum fault f, const char *why)
{
	enum fault before = w->status.fault;

	commit_queue_set_stuck(w->queue, f != FAULT_NONE);
	if (f == FAULT_NONE && before != FAULT_NONE)
		writer_report(w, WRITER_RECOVERED, before, "", 0);
	else if (f != before || strcmp(w->status.why, why) != 0)
		writer_report(w, WRITER_FAULT, f, why, 0);
	pthread_mutex_lock(&w->lock);
	w->status.fault = f;
	snprintf(w->status.why, sizeof(w->status.why), "%s", why);
	w->status.failures += f != FAULT_NONE;
	pthread_mutex_unlock(&w->lock);
}

/* ---- the parts of a round ---- */

/* False: the writer was stopped, and its queue is empty. */
static bool
wait_for_work(struct writer *w)
{
	if (w->db == NULL)
		return commit_queue_wait(w->queue, w->reopen_ms);
	if (w->remap || spool_import_due(w->import) ||
	    commit_queue_is_stuck(w->queue))
		return commit_queue_wait(w->queue, 0);
	return commit_queue_wait(w->queue, TICK_MS);
}

static enum fault
look_at_mapping(struct writer *w)
{
	int64_t edits;
	enum fault f;

	w->tick = clock_ms() >= w->tick_at;
	if (!w->tick)
		return FAULT_NONE;
	w->tick_at = clock_ms() + TICK_MS;
	/* Where no hooks come, nothing else would see that files are gone. */
	if ((f = db_check_files(w->db)) != FAULT_NONE)
		return f;
	if ((f = store_map_edits(w->db, &edits)) == FAULT_NONE &&
	    edits != w->map_edits) {
		w->map_edits = edits;
		w->remap_cursor = 0;
		w->remap = true;
	}
	return f;
}

static enum fault
import_spooled(struct writer *w)
{
	unsigned n;
	enum fault f = spool_import_next(w->import, w->db, &n);

	if (n == 0)
		return f;
	writer_commit_count(w, &w->status.imported, n);
	writer_report(w, WRITER_IMPORTED, FAULT_NONE, "", n);
	return f;
}

static void
report_set_aside(void *writer, enum fault f, const char *name)
{
	writer_report(writer, WRITER_SET_ASIDE, f, name, 1);
}

static void
report_differs(void *writer, const struct observation *o)
{
	report_hook(writer, WRITER_DIFFERS, FAULT_NONE, "", 1, o);
}

static enum fault
remap_some(struct writer *w)
{
	enum fault f = db_begin(w->db);
	bool more = false;

	if (f != FAULT_NONE)
		return f;
	f = store_remap(w->db, &w->remap_cursor, REMAP_ROWS_MAX, &more);
	f = db_end(w->db, f);
	if (f == FAULT_NONE)
		w->remap = more;
	return f;
}

static enum fault
do_round(struct writer *w)
{
	char why[DB_WHY];
	enum fault f = FAULT_NONE;

	if (w->old != NULL && (f = writer_db_retire(w)) != FAULT_NONE)
		return f;
	if (w->db == NULL && (f = writer_db_open(w, why)) != FAULT_NONE) {
		set_fault(w, f, why);
		return f;
	}
	f = writer_db_check(w);
	writer_set_alive(w);
	if (f == FAULT_NONE && (commit_queue_queued(w->queue) > 0 ||
	    commit_queue_is_stuck(w->queue)))
		f = writer_commit_queued(w);
	writer_set_alive(w);
	if (f == FAULT_NONE)
		f = look_at_mapping(w);
	if (f == FAULT_NONE && spool_import_due(w->import))
		f = import_spooled(w);
	writer_set_alive(w);
	if (f == FAULT_NONE && w->remap)
		f = remap_some(w);
	return f;
}

/* `f` is how the round went; returns that, or a fault of the checkpoint. */
static enum fault
end_round(struct writer *w, enum fault f)
{
	if (f == FAULT_NONE)
		f = db_checkpoint(w->db, w->tick);
	/* Of files that were replaced another connection may find the new
	 * database with the old one's log, and call that damage. */
	if (f != FAULT_NONE && f != FAULT_BUSY && w->db != NULL &&
	    db_check_files(w->db) != FAULT_NONE)
		f = FAULT_GONE;
	if (f == FAULT_NONE) {
		w->locked_since = 0;
		set_fault(w, f, "");
	} else if (f == FAULT_BUSY) {
		if (w->locked_since == 0)
			w->locked_since = clock_ms();
		else if (clock_ms() - w->locked_since > LOCKED_SAY_MS)
			set_fault(w, f, "another process holds the "
			    "database's write lock");
	} else if (w->db != NULL) {
		set_fault(w, f, f == FAULT_GONE ? "the database, or its log, "
		    "was moved, replaced or cut" : f == FAULT_CORRUPT ?
		    "the database is damaged" : db_why(w->db));
		writer_db_leave(w, f);
	}
	return f;
}

static void *
run_thread(void *arg)
{
	struct writer *w = arg;
	enum fault f;

	while (wait_for_work(w)) {
		writer_set_alive(w);
		f = end_round(w, do_round(w));
		/* Nobody waits for a database that cannot be opened. */
		assert(w->db != NULL || f != FAULT_NONE);
		if (w->db == NULL)
			writer_commit_finish(w, commit_queue_take(w->queue,
			    UINT32_MAX, SIZE_MAX), f);
		__atomic_store_n(&w->alive_at, 0, __ATOMIC_RELAXED);
	}
	return NULL;
}

/* ---- starting and stopping ---- */

/* Before the thread was started, or after it has ended. */
static void
writer_free(struct writer *w)
{
	if (w->old != NULL && writer_db_retire(w) != FAULT_NONE)
		db_abandon(w->old);
	db_close(w->db);
	spool_import_close(w->import);
	commit_queue_close(w->queue);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

enum fault
writer_start(struct writer **out, const struct writer_config *config,
    char why[DB_WHY])
{
	struct writer *w = calloc(1, sizeof(*w));
	enum fault f;

	*out = NULL;
	if (w == NULL)
		return FAULT_MEMORY;
	w->config = *config;
	w->reopen_ms = WRITER_REOPEN_MS;
	pthread_mutex_init(&w->lock, NULL);
	w->import = spool_import_open(config->spool, config->observe_list,
	    config->redact, report_set_aside, report_differs, w);
	if (w->import == NULL || (w->queue = commit_queue_open()) == NULL) {
		writer_free(w);
		return FAULT_MEMORY;
	}
	if ((f = writer_db_open(w, why)) != FAULT_NONE)
		set_fault(w, f, why);
	if (f == FAULT_FOREIGN || f == FAULT_NEWER ||
	    pthread_create(&w->thread, NULL, run_thread, w) != 0) {
		writer_free(w);
		return f == FAULT_NONE ? FAULT_MEMORY : f;
	}
	*out = w;
	return FAULT_NONE;
}

void
writer_stop(struct writer *w)
{
	commit_queue_stop(w->queue);
	pthread_join(w->thread, NULL);
	writer_free(w);
}
