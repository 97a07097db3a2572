/* The queue's requests into the database. writer_commit_queued():
 *
 *   1. db_begin()		gets the write lock, before anything leaves the
 *				queue: until then a caller whose time is over
 *				can take its request back
 *   2. commit_queue_take()	takes what one transaction may hold
 *   3. commit_jobs()		stores each hook, and commits
 *   4. commit_one_by_one()	only if the schema refuses one of them: each
 *				hook gets a transaction of its own
 *   5. writer_commit_finish()	wakes the callers with the result */
#include "store/writer_private.h"

/* Of one transaction, so that the log stays short (checkpoint.h). */
#define COMMIT_ROWS_MAX		128	/* WRITER_BATCHES covers it */
#define COMMIT_BYTES_MAX	1048576	/* of bodies; one alone may be longer */

void
writer_commit_count(struct writer *w, unsigned long *rows, unsigned long n)
{
	unsigned i = 0;

	while (i < WRITER_BATCHES - 1 && n > 1ul << i)
		i++;
	pthread_mutex_lock(&w->lock);
	w->status.commits++;
	w->status.batches[i] += n > 0;
	*rows += n;
	pthread_mutex_unlock(&w->lock);
}

void
writer_commit_finish(struct writer *w, struct commit_job *jobs, enum fault f)
{
	unsigned long n = 0;

	for (const struct commit_job *j = jobs; j != NULL; j = j->next)
		n++;
	if (f == FAULT_NONE)
		writer_commit_count(w, &w->status.rows, n);
	commit_queue_finish(w->queue, jobs, f);
}

/* With a transaction open, which ends here. */
static enum fault
commit_jobs(struct writer *w, struct commit_job *jobs)
{
	enum fault f = jobs == NULL ? store_probe(w->db) : FAULT_NONE;

	for (struct commit_job *j = jobs; j != NULL && f == FAULT_NONE;
	    j = j->next)
		f = store_put(w->db, &j->received->hook,
		    &j->received->observation, FROM_REQUEST, &j->stored);
	return db_end(w->db, f);
}

/* After FAULT_REFUSED for one hook, nothing of its batch was stored: the others
 * are stored now. */
static enum fault
commit_one_by_one(struct writer *w, struct commit_job *jobs)
{
	enum fault f = FAULT_NONE;
	struct commit_job *next;

	for (struct commit_job *j = jobs; j != NULL; j = next) {
		next = j->next;
		j->next = NULL;
		writer_set_alive(w);
		if (f == FAULT_NONE || f == FAULT_REFUSED)
			f = db_begin(w->db);
		if (f == FAULT_NONE)
			f = commit_jobs(w, j);
		writer_commit_finish(w, j, f);
	}
	return f == FAULT_REFUSED ? FAULT_NONE : f;
}

enum fault
writer_commit_queued(struct writer *w)
{
	enum fault f = db_begin(w->db);
	struct commit_job *jobs;

	if (f != FAULT_NONE)
		return f;
	jobs = commit_queue_take(w->queue, COMMIT_ROWS_MAX, COMMIT_BYTES_MAX);
	f = commit_jobs(w, jobs);
	if (f == FAULT_REFUSED && jobs != NULL)
		return commit_one_by_one(w, jobs);
	writer_commit_finish(w, jobs, f);
	return f;
}
