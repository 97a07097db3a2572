/* The writer: the one thread that writes hooks into the database. Many callers
 * wait in its queue (commit_queue.h), and one commit serves all of them.
 *
 * What it does in each round is at the head of writer.c. */
#ifndef WRITER_H
#define WRITER_H

#include "store/commit_queue.h"
#include "store/spool.h"

struct writer;

/* What the writer reports, from its own thread, when it happens. */
enum writer_event {
	WRITER_OPENED,		/* the database, at the start or again */
	WRITER_FAULT,		/* it cannot write hooks; once for each fault */
	WRITER_RECOVERED,	/* it can again */
	WRITER_IMPORTED,	/* `count` hooks came in from the spool */
	WRITER_DIFFERS,		/* one of them, `hook`, was in the database
				 * already, with another body; else NULL */
	WRITER_SET_ASIDE,	/* a file of the spool was set aside (spool.h);
				 * why: its name */
	WRITER_RETIRING,	/* the files were moved, and their log cannot
				 * follow yet, because a reader needs it */
	WRITER_RETIRED,		/* now it has followed (db.h: retire); or with
				 * a fault: it could not be moved at all */
	WRITER_RIVAL		/* another program's log is set aside (db.h) */
};
typedef void	writer_event_handler(void *arg, enum writer_event, enum fault,
		    const char *why, unsigned long count,
		    const struct observation *hook);

struct writer_config {
	const char	*db;		/* path; outlives the writer */
	struct spool	*spool;
	struct span	 observe_list;	/* outlives the writer */
	bool		 redact;	/* hooks of the spool, when they come
					 * in without being redacted yet */
	writer_event_handler *say;	/* may be NULL */
	void		*arg;		/* its first argument */
};

/* Starts the thread. The thread opens the database, and opens it again after a
 * fault, as often as necessary: a database that cannot be opened yet is no
 * fault here. FAULT_FOREIGN, FAULT_NEWER: it is another program's, or a newer
 * version's, which no waiting changes; `why` says so. FAULT_MEMORY: no memory,
 * or no thread. */
enum fault	writer_start(struct writer **, const struct writer_config *,
		    char why[DB_WHY]) __attribute__((warn_unused_result));

/* Writes what is queued, ends the thread and waits for its end, and closes the
 * database. No thread may be in writer_put(), or call it later. */
void		writer_stop(struct writer *);

/* commit_queue_put() into the writer's queue: see there. Any thread. */
void		writer_put(struct writer *, struct commit_request *,
		    unsigned count, unsigned wait_ms);

#define WRITER_BATCHES	9	/* commits of up to 1, 2, 4 ... 256 rows */
struct writer_status {
	bool		hangs;		/* for over two seconds, in one call */
	enum fault	fault;		/* why it cannot write hooks; when it
					 * hangs, FAULT_STUCK */
	char		why[DB_WHY];	/* the same in words */
	unsigned	queued;		/* requests that wait now */
	/* since the start: */
	unsigned long	commits;
	unsigned long	rows;		/* written for callers */
	unsigned long	imported;	/* rows from the spool */
	/* Commits by size: [i] had up to 2^i rows, but more than [i - 1]; the
	 * last one also counts all that had more. */
	unsigned long	batches[WRITER_BATCHES];
	unsigned long	failures;	/* transactions that failed */
};
void		writer_status(struct writer *, struct writer_status *);

#endif
