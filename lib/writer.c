#include "writer.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define BATCH_MAX	256	/* receipts in a transaction: WRITER_BATCHES */
#define SPOOL_BATCH	64	/* spooled hooks in a transaction */
#define REMAP_BATCH	500	/* unmapped rows in a transaction */
#define TICK_MS		500	/* between looks at the mapping table */
#define SPOOL_LOOK_MS	5000	/* between looks for what others spooled */
#define SPOOL_REST_MS	1000	/* after a round that brought nothing in */
#define REOPEN_MS	100	/* between attempts at a database */
#define CORRUPT_MS	5000	/* the same at one that is corrupt */
#define SOUND_MS	1000	/* between looks whether others can read it */
#define BUSY_SAY_MS	250	/* a lock held longer is worth a word */

struct writer {
	struct writer_config	 config;
	pthread_t		 thread;
	struct intake		*intake;

	pthread_mutex_t	 lock;		/* guards status */
	struct writer_status status;

	/* ---- the writer thread's own ---- */
	struct db	*db;
	bool		 suspect;	/* look through it before it is used */
	unsigned	 reopen_ms;
	int64_t		 sound_at;	/* ms, intake_now() */
	char		 spooled[SPOOL_BATCH][SPOOL_NAME_SIZE];
	unsigned	 spooled_count;
	char		 refused[SPOOL_NAME_SIZE];	/* once */
	int64_t		 edits, cursor;	/* of the mapping table */
	bool		 remap;
	bool		 tick;		/* in this round */
	int64_t		 tick_at, busy_since;	/* ms, intake_now() */
	int64_t		 look_at, rest_until;	/* of the spool, likewise */
};

static void
say(struct writer *w, enum writer_event e, enum fault f, const char *why,
    unsigned long count)
{
	if (w->config.say != NULL)
		w->config.say(w->config.arg, e, f, why, count);
}

enum fault
writer_put(struct writer *w, struct waiting *waiting)
{
	return intake_put(w->intake, waiting);
}

bool
writer_withdraw(struct writer *w, struct waiting *waiting)
{
	return intake_withdraw(w->intake, waiting);
}

void
writer_status(struct writer *w, struct writer_status *status)
{
	pthread_mutex_lock(&w->lock);
	*status = w->status;
	pthread_mutex_unlock(&w->lock);
	status->queued = intake_queued(w->intake);
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
	intake_set_stuck(w->intake, f != FAULT_NONE);
	if (f != FAULT_NONE && !same)
		say(w, WRITER_FAULT, f, why, 0);
	else if (f == FAULT_NONE && before != FAULT_NONE)
		say(w, WRITER_RECOVERED, before, "", 0);
}

/* A sync that failed leaves frames in the WAL that are perhaps nowhere but in
 * memory, however well the next sync goes: they move into the database before
 * any hook is written behind them. What was replaced, cut or corrupt must be
 * sound. */
static enum fault
trust(struct writer *w, char why[DB_WHY])
{
	enum fault f = db_checkpoint(w->db, true);

	if (f == FAULT_NONE && w->suspect)
		f = db_look_through(w->db);
	if (f == FAULT_NONE)
		return f;
	snprintf(why, DB_WHY, "%s", f == FAULT_CORRUPT ? "it is damaged: "
	    "move it away, or put a sound one in its place" : db_why(w->db));
	w->suspect |= f == FAULT_CORRUPT;
	w->reopen_ms = f == FAULT_CORRUPT ? CORRUPT_MS : REOPEN_MS;
	db_abandon(w->db);
	w->db = NULL;
	return f;
}

static enum fault
open_store(struct writer *w, char why[DB_WHY])
{
	enum fault f = store_open(&w->db, w->config.db, DB_OWN, why);

	if (f == FAULT_NONE)
		f = trust(w, why);
	if (f == FAULT_NONE) {
		w->suspect = false;
		w->sound_at = intake_now() + SOUND_MS;
		w->edits = -1;		/* look through the unmapped rows */
		say(w, WRITER_OPENED, f, "", 0);
	}
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

	if (intake_now() < w->sound_at)
		return FAULT_NONE;
	w->sound_at = intake_now() + SOUND_MS;
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
finish(struct writer *w, struct job *jobs, enum fault f)
{
	unsigned long n = 0;

	for (const struct job *j = jobs; j != NULL; j = j->next)
		n++;
	if (f == FAULT_NONE) {
		pthread_mutex_lock(&w->lock);
		count_commit(w, n);
		w->status.rows += n;
		pthread_mutex_unlock(&w->lock);
	}
	intake_settle(w->intake, jobs, f);
}

/* With a transaction open: stores jobs and commits, or rolls back. */
static enum fault
put_jobs(struct writer *w, struct job *jobs)
{
	enum fault f = FAULT_NONE;
	struct job *j;

	for (j = jobs; j != NULL && f == FAULT_NONE; j = j->next)
		f = store_put(w->db, &j->receipt->hook,
		    &j->receipt->observation, FROM_REQUEST, &j->stored);
	if (f == FAULT_NONE)
		f = db_commit(w->db);
	if (f != FAULT_NONE)
		db_rollback(w->db);
	return f;
}

/* One hook of the batch breaks a rule of the schema: the others must not pay
 * for it. Each gets a transaction of its own. */
static enum fault
put_one_by_one(struct writer *w, struct job *jobs)
{
	enum fault f = FAULT_NONE;
	struct job *j, *next;

	for (j = jobs; j != NULL; j = next) {
		next = j->next;
		j->next = NULL;
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
	struct job *jobs;

	if (f != FAULT_NONE)
		return f;
	jobs = intake_take(w->intake, BATCH_MAX);
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

/* With a transaction open: stores the next of the spool and commits. */
static enum fault
put_spooled(struct writer *w)
{
	struct receipt *r;
	struct stored stored;
	const char *name;
	enum fault f;

	while (w->spooled_count < SPOOL_BATCH) {
		f = spool_take(w->config.spool, w->config.observe_list, &r,
		    &name);
		if (f != FAULT_NONE || r == NULL)
			break;
		memcpy(w->spooled[w->spooled_count++], name, SPOOL_NAME_SIZE);
		f = store_put(w->db, &r->hook, &r->observation, FROM_SPOOL,
		    &stored);
		receipt_drop(r);
		if (f != FAULT_NONE)
			return f;
	}
	/* A folder that cannot be read is no fault of the database. */
	return db_commit(w->db);
}

static void
forget_spooled(struct writer *w)
{
	for (unsigned i = 0; i < w->spooled_count; i++)
		spool_remove(w->config.spool, w->spooled[i]);
	pthread_mutex_lock(&w->lock);
	count_commit(w, w->spooled_count);
	w->status.brought_in += w->spooled_count;
	pthread_mutex_unlock(&w->lock);
	say(w, WRITER_BROUGHT_IN, FAULT_NONE, "", w->spooled_count);
}

/* Without memory json_valid() says no, and a CHECK fails: the second time it
 * is the hook. */
static void
refused(struct writer *w, const char *name)
{
	if (strcmp(w->refused, name) != 0) {
		memcpy(w->refused, name, SPOOL_NAME_SIZE);
		return;
	}
	say(w, WRITER_SET_ASIDE, FAULT_REFUSED, name, 1);
	spool_set_aside(w->config.spool, name);
}

static enum fault
bring_in(struct writer *w)
{
	enum fault f = db_begin(w->db);

	if (f != FAULT_NONE)
		return f;
	w->spooled_count = 0;
	if ((f = put_spooled(w)) != FAULT_NONE) {
		db_rollback(w->db);
		spool_again(w->config.spool);
		if (f != FAULT_REFUSED)
			return f;
		refused(w, w->spooled[w->spooled_count - 1]);
		return FAULT_NONE;
	}
	w->look_at = intake_now() + SPOOL_LOOK_MS;
	if (w->spooled_count > 0)
		forget_spooled(w);
	else
		w->rest_until = intake_now() + SPOOL_REST_MS;
	return f;
}

/* When files are known to wait, and now and then because another process may
 * have left some. */
static bool
spool_due(struct writer *w)
{
	return intake_now() >= w->rest_until &&
	    (intake_now() >= w->look_at || spool_waiting(w->config.spool) > 0);
}

static enum fault
look_at_mapping(struct writer *w)
{
	int64_t edits;
	enum fault f;

	w->tick = intake_now() >= w->tick_at;
	if (!w->tick)
		return FAULT_NONE;
	w->tick_at = intake_now() + TICK_MS;
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
	if (f == FAULT_NONE)
		f = db_commit(w->db);
	if (f != FAULT_NONE)
		db_rollback(w->db);
	else
		w->remap = more;
	return f;
}

/* Sleeps until there is something to do; returns false when it is over. */
static bool
wait_for_work(struct writer *w)
{
	if (w->db == NULL)
		return intake_wait(w->intake, w->reopen_ms);
	if (w->remap || spool_due(w) || intake_is_stuck(w->intake))
		return intake_wait(w->intake, 0);
	return intake_wait(w->intake, TICK_MS);
}

/* Everything that is due, a transaction each. */
static enum fault
work(struct writer *w)
{
	char why[DB_WHY];
	enum fault f = FAULT_NONE;

	if (w->db == NULL && (f = open_store(w, why)) != FAULT_NONE) {
		set_fault(w, f, why);
		return f;
	}
	f = look_whether_sound(w);
	if (f == FAULT_NONE && (intake_queued(w->intake) > 0 ||
	    intake_is_stuck(w->intake)))
		f = write_queued(w);
	if (f == FAULT_NONE)
		f = look_at_mapping(w);
	if (f == FAULT_NONE && spool_due(w))
		f = bring_in(w);
	if (f == FAULT_NONE && w->remap)
		f = remap(w);
	return f;
}

/* What is in the WAL still belongs to a file that was moved: it goes after
 * it, and not into the one that has come. */
static void
give_up(struct writer *w, enum fault f)
{
	set_fault(w, f, f == FAULT_GONE ? "the database file was moved, "
	    "replaced or cut" : f == FAULT_CORRUPT ? "the database is "
	    "damaged" : db_why(w->db));
	w->suspect = f == FAULT_GONE || f == FAULT_CORRUPT;
	w->reopen_ms = REOPEN_MS;
	if (f == FAULT_GONE)
		db_close(w->db);
	else
		db_abandon(w->db);
	w->db = NULL;
}

static enum fault
judge(struct writer *w, enum fault f)
{
	/* A WAL that cannot be emptied would only grow. */
	if (f == FAULT_NONE)
		f = db_checkpoint(w->db, w->tick);
	if (f == FAULT_NONE) {
		w->busy_since = 0;
		set_fault(w, f, "");
	} else if (f == FAULT_BUSY) {
		if (w->busy_since == 0)
			w->busy_since = intake_now();
		else if (intake_now() - w->busy_since > BUSY_SAY_MS)
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
		f = judge(w, work(w));
		/* Nobody waits for a database that cannot be opened. */
		assert(w->db != NULL || f != FAULT_NONE);
		if (w->db == NULL)
			finish(w, intake_take(w->intake, UINT32_MAX), f);
	}
	return NULL;
}

static void
writer_free(struct writer *w)
{
	db_close(w->db);
	intake_close(w->intake);
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
	if ((w->intake = intake_open()) == NULL) {
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
	intake_stop(w->intake);
	pthread_join(w->thread, NULL);
	writer_free(w);
}
