#include "store/writer.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "store/spool_import.h"
#include "base/clock.h"

/* Of a transaction, so that the log stays short (checkpoint.h). */
#define BATCH_MAX	128	/* receipts: WRITER_BATCHES */
#define BATCH_BYTES	1048576	/* of their bodies, or a single one */
#define REMAP_BATCH	500	/* unmapped rows in a transaction */
#define TICK_MS		500	/* between looks at the mapping table */
#define REOPEN_MS	100	/* between attempts at a database */
#define CORRUPT_MS	5000	/* the same at one that is corrupt */
#define SOUND_MS	1000	/* between looks whether others can read it */
#define HANGS_MS	2000	/* in one call */
#define RETIRE_SAY_MS	1000	/* until that is worth a word */
#define BUSY_SAY_MS	250	/* a lock held longer is worth a word */

struct writer {
	struct writer_config	 config;
	pthread_t		 thread;
	struct commit_queue		*queue;
	int64_t			 busy_from;	/* atomic: ms; 0: idle */
	pthread_mutex_t	 lock;		/* guards status */
	struct writer_status status;

	/* ---- the writer thread's own ---- */
	struct db	*db;
	struct db	*old;		/* moved, its log not yet with it */
	int64_t		 old_since;	/* ms; 0: and that was said */
	bool		 unsynced;	/* empty its log before it is used */
	bool		 suspect;	/* look through it before it is used */
	unsigned	 reopen_ms;
	int64_t		 sound_at;	/* ms, clock_ms() */
	struct spool_import	*import;
	int64_t		 edits, cursor;	/* of the mapping table */
	bool		 remap;
	bool		 tick;		/* in this round */
	int64_t		 tick_at, busy_since;	/* ms, clock_ms() */
};

static void
say(struct writer *w, enum writer_event e, enum fault f, const char *why,
    unsigned long count)
{
	if (w->config.say != NULL)
		w->config.say(w->config.arg, e, f, why, count);
}

void
writer_put(struct writer *w, struct commit_request *deposits, unsigned count,
    unsigned wait_ms)
{
	commit_queue_put(w->queue, deposits, count, wait_ms);
}

void
writer_status(struct writer *w, struct writer_status *status)
{
	int64_t from = __atomic_load_n(&w->busy_from, __ATOMIC_RELAXED);

	pthread_mutex_lock(&w->lock);
	*status = w->status;
	pthread_mutex_unlock(&w->lock);
	status->queued = commit_queue_queued(w->queue);
	status->hangs = from != 0 && clock_ms() - from > HANGS_MS;
	if (!status->hangs)
		return;
	status->fault = FAULT_STUCK;
	snprintf(status->why, sizeof(status->why), "the writer hangs");
}

/* It moves: before each step that should not take long. */
static void
sign_of_life(struct writer *w)
{
	__atomic_store_n(&w->busy_from, clock_ms(), __ATOMIC_RELAXED);
}

/* The same in the midst of one. */
static int
still_at_it(void *w)
{
	return sign_of_life(w), 0;
}

static void
set_fault(struct writer *w, enum fault f, const char *why)
{
	enum fault before;
	bool same;

	pthread_mutex_lock(&w->lock);
	before = w->status.fault;
	same = before == f && strcmp(w->status.why, why) == 0;
	w->status.fault = f;
	snprintf(w->status.why, sizeof(w->status.why), "%s", why);
	w->status.failures += f != FAULT_NONE;
	pthread_mutex_unlock(&w->lock);
	commit_queue_set_stuck(w->queue, f != FAULT_NONE);
	if (f != FAULT_NONE && !same)
		say(w, WRITER_FAULT, f, why, 0);
	else if (f == FAULT_NONE && before != FAULT_NONE)
		say(w, WRITER_RECOVERED, before, "", 0);
}

/* A sync that failed leaves pages in the log that are perhaps nowhere but in
 * memory, however well the next sync goes: all of it moves into the database
 * before any hook is written behind them. What was replaced, cut or corrupt
 * must be sound. */
static enum fault
trust(struct writer *w, char why[DB_WHY])
{
	enum fault f = db_empty_log(w->db);

	if (f == FAULT_BUSY && w->unsynced) {
		snprintf(why, DB_WHY, "a sync has failed, and somebody reads: "
		    "the log cannot be emptied");
		return f;
	}
	if ((f == FAULT_NONE || f == FAULT_BUSY) && w->suspect) {
		db_interrupt(w->db, still_at_it, w);
		f = db_check_integrity(w->db);
		db_interrupt(w->db, NULL, NULL);
	}
	if (f == FAULT_BUSY)
		f = FAULT_NONE;
	snprintf(why, DB_WHY, "%s", f == FAULT_CORRUPT ? "it is damaged: move "
	    "it away, or put a sound one in its place" : db_why(w->db));
	return f;
}

static enum fault
open_store(struct writer *w, char why[DB_WHY])
{
	enum fault f = store_open(&w->db, w->config.db, DB_OWN, why);

	if (f != FAULT_NONE)
		return f;
	if ((f = trust(w, why)) != FAULT_NONE) {
		w->suspect |= f == FAULT_CORRUPT;
		w->reopen_ms = f == FAULT_CORRUPT ? CORRUPT_MS : REOPEN_MS;
		db_abandon(w->db);
		w->db = NULL;
		return f;
	}
	w->suspect = w->unsynced = false;
	w->sound_at = clock_ms() + SOUND_MS;
	w->edits = -1;		/* look through the unmapped rows */
	say(w, WRITER_OPENED, f, "", 0);
	return f;
}

/* What this connection remembers of the file may be better than the file:
 * now and then a new one has a look at it. */
static enum fault
look_whether_sound(struct writer *w)
{
	char why[DB_WHY];
	struct db *d;
	enum fault f;

	if (clock_ms() < w->sound_at)
		return FAULT_NONE;
	w->sound_at = clock_ms() + SOUND_MS;
	f = store_open(&d, w->config.db, DB_READ, why);
	db_close(d);
	return f == FAULT_CORRUPT || f == FAULT_FOREIGN ? FAULT_CORRUPT :
	    FAULT_NONE;
}

/* With the lock held: counts a commit of n rows. */
static void
count_commit(struct writer *w, unsigned long n)
{
	unsigned i = 0;

	w->status.commits++;
	while (i < WRITER_BATCHES - 1 && n > 1ul << i)
		i++;
	w->status.batches[i] += n > 0;
}

/* Tells the callers of `jobs` how it ended, after it is counted. */
static void
finish(struct writer *w, struct commit_job *jobs, enum fault f)
{
	unsigned long n = 0;

	for (const struct commit_job *j = jobs; j != NULL; j = j->next)
		n++;
	if (f == FAULT_NONE) {
		pthread_mutex_lock(&w->lock);
		count_commit(w, n);
		w->status.rows += n;
		pthread_mutex_unlock(&w->lock);
	}
	commit_queue_finish(w->queue, jobs, f);
}

/* With a transaction open: stores jobs and commits, or rolls back. */
static enum fault
put_jobs(struct writer *w, struct commit_job *jobs)
{
	enum fault f = FAULT_NONE;
	struct commit_job *j;

	for (j = jobs; j != NULL && f == FAULT_NONE; j = j->next)
		f = store_put(w->db, &j->received->hook,
		    &j->received->observation, FROM_REQUEST, &j->stored);
	return db_end(w->db, f);
}

/* One hook of the batch breaks a rule of the schema: the others must not pay
 * for it. Each gets a transaction of its own. */
static enum fault
put_one_by_one(struct writer *w, struct commit_job *jobs)
{
	enum fault f = FAULT_NONE;
	struct commit_job *next;

	for (struct commit_job *j = jobs; j != NULL; j = next) {
		next = j->next;
		j->next = NULL;
		sign_of_life(w);
		if (f == FAULT_NONE || f == FAULT_REFUSED)
			f = db_begin(w->db);
		if (f == FAULT_NONE)
			f = put_jobs(w, j);
		finish(w, j, f);
	}
	return f == FAULT_REFUSED ? FAULT_NONE : f;
}

/* The lock comes first: while somebody else has it, receipts stay in the
 * queue, where their callers can take them back. */
static enum fault
write_queued(struct writer *w)
{
	enum fault f = db_begin(w->db);
	struct commit_job *jobs;

	if (f != FAULT_NONE)
		return f;
	jobs = commit_queue_take(w->queue, BATCH_MAX, BATCH_BYTES);
	if (jobs == NULL && (f = store_probe(w->db)) != FAULT_NONE) {
		db_rollback(w->db);
		return f;
	}
	f = put_jobs(w, jobs);
	if (f == FAULT_REFUSED)
		return put_one_by_one(w, jobs);
	finish(w, jobs, f);
	return f;
}

static enum fault
bring_in(struct writer *w)
{
	unsigned n;
	enum fault f = spool_import_next(w->import, w->db, &n);

	if (n == 0)
		return f;
	pthread_mutex_lock(&w->lock);
	count_commit(w, n);
	w->status.brought_in += n;
	pthread_mutex_unlock(&w->lock);
	say(w, WRITER_BROUGHT_IN, FAULT_NONE, "", n);
	return f;
}

static void
say_set_aside(void *writer, enum fault f, const char *name)
{
	say(writer, WRITER_SET_ASIDE, f, name, 1);
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
	/* An idle worker has to notice, too. */
	if ((f = db_check_files(w->db)) != FAULT_NONE)
		return f;
	if ((f = store_map_edits(w->db, &edits)) == FAULT_NONE &&
	    edits != w->edits) {
		w->edits = edits;
		w->cursor = 0;
		w->remap = true;
	}
	return f;
}

static enum fault
remap(struct writer *w)
{
	enum fault f = db_begin(w->db);
	bool more = false;

	if (f != FAULT_NONE)
		return f;
	f = store_remap(w->db, &w->cursor, REMAP_BATCH, &more);
	if ((f = db_end(w->db, f)) == FAULT_NONE)
		w->remap = more;
	return f;
}

/* Until there is something to do; false when it is over. */
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

/* What is in the log still belongs to the files that were moved: it goes after
 * them, and not into those that have come. Until then hooks go to the spool.
 * Where it cannot go, there is nothing left to wait for. */
static enum fault
retire(struct writer *w)
{
	enum fault f = db_retire(w->old);

	if (f == FAULT_BUSY) {
		if (w->old_since != 0 &&
		    clock_ms() - w->old_since > RETIRE_SAY_MS) {
			say(w, WRITER_RETIRING, f, "", 0);
			w->old_since = 0;
		}
		return FAULT_GONE;
	}
	if (f != FAULT_NONE || w->old_since == 0)
		say(w, WRITER_RETIRED, f, f == FAULT_NONE ? "" :
		    db_why(w->old), 0);
	db_abandon(w->old);
	w->old = NULL;
	return FAULT_NONE;
}

static void
give_up(struct writer *w, enum fault f)
{
	set_fault(w, f, f == FAULT_GONE ? "the database, or its log, was "
	    "moved, replaced or cut" : f == FAULT_CORRUPT ? "the database is "
	    "damaged" : db_why(w->db));
	w->suspect = f == FAULT_GONE || f == FAULT_CORRUPT;
	w->unsynced |= f != FAULT_GONE;
	w->reopen_ms = REOPEN_MS;
	if (f == FAULT_GONE) {
		w->old = w->db;
		w->old_since = clock_ms();
	} else {
		db_abandon(w->db);
	}
	w->db = NULL;
}

/* Everything that is due, a transaction each. */
static enum fault
work(struct writer *w)
{
	char why[DB_WHY];
	enum fault f = FAULT_NONE;

	if (w->old != NULL && (f = retire(w)) != FAULT_NONE)
		return f;
	if (w->db == NULL && (f = open_store(w, why)) != FAULT_NONE) {
		set_fault(w, f, why);
		return f;
	}
	f = look_whether_sound(w);
	sign_of_life(w);
	if (f == FAULT_NONE && (commit_queue_queued(w->queue) > 0 ||
	    commit_queue_is_stuck(w->queue)))
		f = write_queued(w);
	sign_of_life(w);
	if (f == FAULT_NONE)
		f = look_at_mapping(w);
	if (f == FAULT_NONE && spool_import_due(w->import))
		f = bring_in(w);
	sign_of_life(w);
	if (f == FAULT_NONE && w->remap)
		f = remap(w);
	return f;
}

static enum fault
judge(struct writer *w, enum fault f)
{
	if (f == FAULT_NONE)
		f = db_checkpoint(w->db, w->tick);
	if (f == FAULT_NONE) {
		w->busy_since = 0;
		set_fault(w, f, "");
	} else if (f == FAULT_BUSY) {
		if (w->busy_since == 0)
			w->busy_since = clock_ms();
		else if (clock_ms() - w->busy_since > BUSY_SAY_MS)
			set_fault(w, f, "another process holds the "
			    "database's write lock");
	} else if (w->db != NULL) {
		give_up(w, f);
	}
	return f;
}

static void *
run(void *arg)
{
	struct writer *w = arg;
	enum fault f;

	while (wait_for_work(w)) {
		sign_of_life(w);
		f = judge(w, work(w));
		/* Nobody waits for a database that cannot be opened. */
		assert(w->db != NULL || f != FAULT_NONE);
		if (w->db == NULL)
			finish(w, commit_queue_take(w->queue, UINT32_MAX,
			    SIZE_MAX), f);
		__atomic_store_n(&w->busy_from, 0, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void
writer_free(struct writer *w)
{
	if (w->old != NULL && retire(w) != FAULT_NONE)
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
	w->reopen_ms = REOPEN_MS;
	pthread_mutex_init(&w->lock, NULL);
	w->import = spool_import_open(config->spool, config->observe_list,
	    config->redact, say_set_aside, w);
	if (w->import == NULL || (w->queue = commit_queue_open()) == NULL) {
		writer_free(w);
		return FAULT_MEMORY;
	}
	if ((f = open_store(w, why)) != FAULT_NONE)
		set_fault(w, f, why);
	if (f == FAULT_FOREIGN || f == FAULT_NEWER ||
	    pthread_create(&w->thread, NULL, run, w) != 0) {
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
