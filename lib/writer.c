#include "writer.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define BATCH_MAX	256	/* receipts in a transaction */
#define SPOOL_BATCH	64	/* spooled hooks in a transaction */
#define REMAP_BATCH	500	/* unmapped rows in a transaction */
#define TICK_MS		500	/* between looks at the mapping table */
#define SPOOL_LOOK_MS	5000	/* between looks for what others spooled */
#define SPOOL_REST_MS	1000	/* after a round that brought nothing in */
#define REOPEN_MS	100	/* between attempts at a broken database */
#define BUSY_SAY_MS	250	/* a lock held longer is worth a word */

enum place { PLACE_QUEUED, PLACE_TAKEN, PLACE_DONE };

/* A caller that waits. It lives on the heap, since a caller that gives up
 * leaves while the writer may still be at work on it. */
struct job {
	struct job	*next;
	struct receipt	*receipt;
	struct stored	 stored;
	enum fault	 fault;
	enum place	 place;
	bool		 left;		/* by its caller: the writer frees */
	pthread_cond_t	 done;
};

struct writer {
	struct writer_config	 config;
	pthread_t		 thread;

	pthread_mutex_t	 lock;		/* guards all down to the line */
	pthread_cond_t	 work;
	struct job	*head, **tail;
	bool		 stop;
	bool		 slow;		/* a caller waited in vain */
	struct writer_status status;
	/* ---- the writer thread's own ---- */

	struct store	*store;
	struct job	*batch;
	char		 spooled[SPOOL_BATCH][SPOOL_NAME_SIZE];
	unsigned	 spooled_count;
	int64_t		 edits, cursor;	/* of the mapping table */
	bool		 remap;
	int64_t		 tick_at, busy_since;	/* ms, monotonic */
	int64_t		 look_at, rest_until;	/* of the spool, likewise */
};

static int64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static struct timespec
at_ms(int64_t ms)
{
	return (struct timespec){ .tv_sec = ms / 1000,
	    .tv_nsec = ms % 1000 * 1000000 };
}

static void
monotonic_cond(pthread_cond_t *cond)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &attr);
	pthread_condattr_destroy(&attr);
}

static void
say(struct writer *w, enum writer_event e, enum fault f, const char *why,
    unsigned long count)
{
	if (w->config.say != NULL)
		w->config.say(w->config.arg, e, f, why, count);
}

/* ---- the callers' side ---- */

static void
job_free(struct job *j)
{
	pthread_cond_destroy(&j->done);
	receipt_drop(j->receipt);
	free(j);
}

/* With the lock held. */
static void
unqueue(struct writer *w, struct job *j)
{
	struct job **p;

	for (p = &w->head; *p != j; p = &(*p)->next)
		;
	if ((*p = j->next) == NULL)
		w->tail = p;
	w->status.queued--;
}

static enum fault
wait_for(struct writer *w, struct job *j, unsigned wait_ms,
    struct stored *stored)
{
	struct timespec deadline = at_ms(now_ms() + wait_ms);
	enum fault f = FAULT_BUSY;
	bool mine = true;
	int rc = 0;

	while (j->place != PLACE_DONE && rc == 0)
		rc = pthread_cond_timedwait(&j->done, &w->lock, &deadline);
	if (j->place == PLACE_DONE) {
		f = j->fault;
		*stored = j->stored;
	} else if (j->place == PLACE_QUEUED) {
		unqueue(w, j);
	} else {
		j->left = true;
		mine = false;
	}
	/* Whoever has waited in vain spares the others the wait. */
	if (f == FAULT_BUSY)
		w->slow = true;
	pthread_mutex_unlock(&w->lock);
	if (mine)
		job_free(j);
	return f;
}

enum fault
writer_put(struct writer *w, struct receipt *r, unsigned wait_ms,
    struct stored *stored)
{
	struct job *j = calloc(1, sizeof(*j));

	*stored = (struct stored){ false, false };
	if (j == NULL)
		return FAULT_MEMORY;
	monotonic_cond(&j->done);
	j->receipt = receipt_hold(r);
	pthread_mutex_lock(&w->lock);
	if (w->slow || w->status.fault != FAULT_NONE) {
		pthread_mutex_unlock(&w->lock);
		job_free(j);
		return FAULT_STUCK;
	}
	*w->tail = j;
	w->tail = &j->next;
	if (w->status.queued++ == 0)
		pthread_cond_signal(&w->work);
	return wait_for(w, j, wait_ms, stored);
}

void
writer_status(struct writer *w, struct writer_status *status)
{
	pthread_mutex_lock(&w->lock);
	*status = w->status;
	pthread_mutex_unlock(&w->lock);
}

/* ---- the writer's side ---- */

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
	if (f == FAULT_NONE)
		w->slow = false;
	else
		w->status.failures++;
	pthread_mutex_unlock(&w->lock);
	if (f != FAULT_NONE && !same)
		say(w, WRITER_FAULT, f, why, 0);
	else if (f == FAULT_NONE && before != FAULT_NONE)
		say(w, WRITER_RECOVERED, before, "", 0);
}

/* Whether hooks go past the writer now. */
static bool
stuck(struct writer *w)
{
	bool is;

	pthread_mutex_lock(&w->lock);
	is = w->slow || w->status.fault != FAULT_NONE;
	pthread_mutex_unlock(&w->lock);
	return is;
}

static enum fault
open_store(struct writer *w, char why[STORE_WHY])
{
	enum fault f = store_open(&w->store, w->config.db, STORE_WRITE, why);

	if (f == FAULT_NONE) {
		w->edits = -1;		/* look through the unmapped rows */
		say(w, WRITER_OPENED, f, "", 0);
	}
	return f;
}

/* Takes up to `limit` receipts off the queue. */
static void
take_batch(struct writer *w, unsigned limit)
{
	struct job **end = &w->batch;
	unsigned n;

	pthread_mutex_lock(&w->lock);
	for (n = 0; n < limit && w->head != NULL; n++) {
		*end = w->head;
		w->head = w->head->next;
		(*end)->place = PLACE_TAKEN;
		end = &(*end)->next;
	}
	*end = NULL;
	if (w->head == NULL)
		w->tail = &w->head;
	w->status.queued -= n;
	pthread_mutex_unlock(&w->lock);
}

/* Tells all of `jobs` how it ended; frees those whose callers have left. */
static void
finish(struct writer *w, struct job *jobs, enum fault f)
{
	struct job *j, *next, *left = NULL;

	pthread_mutex_lock(&w->lock);
	if (f == FAULT_NONE)
		w->status.commits++;
	for (j = jobs; j != NULL; j = next) {
		next = j->next;
		w->status.rows += f == FAULT_NONE;
		if (j->left) {
			j->next = left;
			left = j;
			continue;
		}
		j->fault = f;
		j->place = PLACE_DONE;
		pthread_cond_signal(&j->done);
	}
	pthread_mutex_unlock(&w->lock);
	for (j = left; j != NULL; j = next) {
		next = j->next;
		job_free(j);
	}
}

/* With a transaction open: stores jobs and commits, or rolls back. */
static enum fault
put_jobs(struct writer *w, struct job *jobs)
{
	enum fault f = FAULT_NONE;
	struct job *j;

	for (j = jobs; j != NULL && f == FAULT_NONE; j = j->next)
		f = store_put(w->store, &j->receipt->hook,
		    &j->receipt->observation, FROM_REQUEST, &j->stored);
	if (f == FAULT_NONE)
		f = store_commit(w->store);
	if (f != FAULT_NONE)
		store_rollback(w->store);
	return f;
}

/* One hook of the batch breaks a rule of the schema: the others must not pay
 * for it. Each gets a transaction of its own. */
static enum fault
put_one_by_one(struct writer *w)
{
	enum fault f = FAULT_NONE;
	struct job *j, *next;

	for (j = w->batch; j != NULL; j = next) {
		next = j->next;
		j->next = NULL;
		if (f == FAULT_NONE || f == FAULT_REFUSED)
			f = store_begin(w->store);
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
	enum fault f = store_begin(w->store);

	if (f != FAULT_NONE)
		return f;
	take_batch(w, BATCH_MAX);
	if (w->batch == NULL && (f = store_probe(w->store)) != FAULT_NONE) {
		store_rollback(w->store);
		return f;
	}
	f = put_jobs(w, w->batch);
	if (f == FAULT_REFUSED)
		return put_one_by_one(w);
	finish(w, w->batch, f);
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
		f = store_put(w->store, &r->hook, &r->observation, FROM_SPOOL,
		    &stored);
		receipt_drop(r);
		if (f != FAULT_NONE)
			return f;
	}
	/* A folder that cannot be read is no fault of the database. */
	return store_commit(w->store);
}

static void
forget_spooled(struct writer *w)
{
	for (unsigned i = 0; i < w->spooled_count; i++)
		spool_remove(w->config.spool, w->spooled[i]);
	pthread_mutex_lock(&w->lock);
	w->status.commits++;
	w->status.brought_in += w->spooled_count;
	pthread_mutex_unlock(&w->lock);
	say(w, WRITER_BROUGHT_IN, FAULT_NONE, "", w->spooled_count);
}

static enum fault
bring_in(struct writer *w)
{
	enum fault f = store_begin(w->store);

	if (f != FAULT_NONE)
		return f;
	w->spooled_count = 0;
	if ((f = put_spooled(w)) != FAULT_NONE) {
		store_rollback(w->store);
		spool_again(w->config.spool);
		if (f == FAULT_REFUSED) {
			unsigned last = w->spooled_count - 1;

			say(w, WRITER_SET_ASIDE, f, w->spooled[last], 1);
			spool_set_aside(w->config.spool, w->spooled[last]);
			f = FAULT_NONE;
		}
		return f;
	}
	w->look_at = now_ms() + SPOOL_LOOK_MS;
	if (w->spooled_count > 0)
		forget_spooled(w);
	else
		w->rest_until = now_ms() + SPOOL_REST_MS;
	return f;
}

/* When files are known to wait, and now and then because another process may
 * have left some. */
static bool
spool_due(struct writer *w)
{
	return now_ms() >= w->rest_until &&
	    (now_ms() >= w->look_at || spool_waiting(w->config.spool) > 0);
}

static enum fault
look_at_mapping(struct writer *w)
{
	int64_t edits;
	enum fault f;

	if (now_ms() < w->tick_at)
		return FAULT_NONE;
	w->tick_at = now_ms() + TICK_MS;
	if ((f = store_map_edits(w->store, &edits)) == FAULT_NONE &&
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
	enum fault f = store_begin(w->store);
	bool more = false;

	if (f != FAULT_NONE)
		return f;
	f = store_remap(w->store, &w->cursor, REMAP_BATCH, &more);
	if (f == FAULT_NONE)
		f = store_commit(w->store);
	if (f != FAULT_NONE)
		store_rollback(w->store);
	else
		w->remap = more;
	return f;
}

/* Sleeps until there is something to do; returns false when it is over. */
static bool
wait_for_work(struct writer *w)
{
	struct timespec deadline;
	bool busy = w->store != NULL && (w->remap || spool_due(w) || stuck(w));
	int rc = 0;

	deadline = at_ms(now_ms() + (w->store == NULL ? REOPEN_MS : TICK_MS));
	pthread_mutex_lock(&w->lock);
	while (!busy && !w->stop && w->head == NULL && rc == 0)
		rc = pthread_cond_timedwait(&w->work, &w->lock, &deadline);
	busy = !w->stop || w->head != NULL;
	pthread_mutex_unlock(&w->lock);
	return busy;
}

static bool
queued(struct writer *w)
{
	bool any;

	pthread_mutex_lock(&w->lock);
	any = w->head != NULL;
	pthread_mutex_unlock(&w->lock);
	return any;
}

/* Everything that is due, a transaction each. */
static enum fault
work(struct writer *w)
{
	char why[STORE_WHY];
	enum fault f = FAULT_NONE;

	if (w->store == NULL && (f = open_store(w, why)) != FAULT_NONE) {
		set_fault(w, f, why);
		return f;
	}
	if (queued(w) || stuck(w))
		f = write_queued(w);
	if (f == FAULT_NONE)
		f = look_at_mapping(w);
	if (f == FAULT_NONE && spool_due(w))
		f = bring_in(w);
	if (f == FAULT_NONE && w->remap)
		f = remap(w);
	return f;
}

static void
judge(struct writer *w, enum fault f)
{
	if (f == FAULT_NONE) {
		w->busy_since = 0;
		set_fault(w, f, "");
		store_checkpoint(w->store);
	} else if (f == FAULT_BUSY) {
		if (w->busy_since == 0)
			w->busy_since = now_ms();
		else if (now_ms() - w->busy_since > BUSY_SAY_MS)
			set_fault(w, f, "another process holds the "
			    "database's write lock");
	} else if (w->store != NULL) {
		set_fault(w, f, f == FAULT_GONE ? "the database file was "
		    "moved or replaced" : store_why(w->store));
		store_abandon(w->store);
		w->store = NULL;
	}
}

/* Nobody waits for a database that cannot be opened. */
static void
turn_away(struct writer *w, enum fault f)
{
	take_batch(w, UINT32_MAX);
	finish(w, w->batch, f);
}

static void *
run(void *arg)
{
	struct writer *w = arg;
	enum fault f;

	while (wait_for_work(w)) {
		judge(w, f = work(w));
		if (w->store == NULL)
			turn_away(w, f);
	}
	return NULL;
}

enum fault
writer_start(struct writer **out, const struct writer_config *config,
    char why[STORE_WHY])
{
	struct writer *w = calloc(1, sizeof(*w));
	enum fault f;

	*out = NULL;
	if (w == NULL)
		return FAULT_MEMORY;
	w->config = *config;
	w->tail = &w->head;
	pthread_mutex_init(&w->lock, NULL);
	monotonic_cond(&w->work);
	if ((f = open_store(w, why)) != FAULT_NONE)
		set_fault(w, f, why);
	if (f == FAULT_FOREIGN || f == FAULT_NEWER ||
	    pthread_create(&w->thread, NULL, run, w) != 0) {
		store_close(w->store);
		free(w);
		return f == FAULT_NONE ? FAULT_MEMORY : f;
	}
	*out = w;
	return FAULT_NONE;
}

void
writer_stop(struct writer *w)
{
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	pthread_cond_signal(&w->work);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	store_close(w->store);
	pthread_cond_destroy(&w->work);
	pthread_mutex_destroy(&w->lock);
	free(w);
}
