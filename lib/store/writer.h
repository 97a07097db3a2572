/* The one thread that writes: many callers, one commit. */
#ifndef WRITER_H
#define WRITER_H

#include "store/commit_queue.h"
#include "store/spool.h"

struct writer;

/* What the writer has to say when it happens, from its own thread. */
enum writer_event {
	WRITER_OPENED,		/* the database, at the start or again */
	WRITER_FAULT,		/* it does not take hooks; once a fault */
	WRITER_RECOVERED,	/* it does again */
	WRITER_BROUGHT_IN,	/* `count` hooks from the spool */
	WRITER_SET_ASIDE,	/* a spool file that cannot be; why: its name */
	WRITER_RETIRING,	/* files that were moved: their log is not yet
				 * in them, a reader needs it */
	WRITER_RETIRED		/* it is now; or given up, with a fault */
};
typedef void	writer_say(void *arg, enum writer_event, enum fault,
		    const char *why, unsigned long count);

struct writer_config {
	const char	*db;		/* outlives the writer */
	struct spool	*spool;
	struct span	 observe_list;	/* outlives the writer */
	bool		 redact;	/* what was spooled without */
	writer_say	*say;
	void		*arg;
};

/* Starts the thread. It opens the database by itself, and again whenever that
 * is needed; a fault that waiting does not mend (another program's file, a
 * newer version) is returned here, with `why`. */
enum fault	writer_start(struct writer **, const struct writer_config *,
		    char why[DB_WHY]) __attribute__((warn_unused_result));

/* Writes what is queued, then ends. Nobody may
 * call writer_put() any more. */
void		writer_stop(struct writer *);

/* commit_queue_put(): see there. */
void writer_put(
    struct writer *, struct commit_request *, unsigned count, unsigned wait_ms);

#define WRITER_BATCHES	9	/* up to 256 rows */
struct writer_status {
	bool		hangs;		/* in a call, for over two seconds */
	enum fault	fault;		/* then FAULT_STUCK, else why it does
					 * not take hooks, or FAULT_NONE */
	char		why[DB_WHY];
	unsigned	queued;		/* receipts that wait now */
	unsigned long	commits, rows;	/* since the start */
	unsigned long	brought_in;	/* rows that came from the spool */
	/* Of the commits those of up to 1, 2, 4 ... rows, and not fewer. */
	unsigned long	batches[WRITER_BATCHES];
	unsigned long	failures;	/* transactions that failed */
};
void		writer_status(struct writer *, struct writer_status *);

#endif
