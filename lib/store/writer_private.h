/* What the files behind writer.h share: writer.c (the thread), writer_db.c
 * (opening and leaving the database) and writer_commit.c (the queue's requests
 * into the database). Nobody else may include this. */
#ifndef WRITER_PRIVATE_H
#define WRITER_PRIVATE_H

#include <pthread.h>

#include "store/db_files.h"
#include "store/spool_import.h"
#include "store/writer.h"

#define WRITER_REOPEN_MS	100	/* until the next try to open it */

struct writer {
	struct writer_config	 config;
	struct commit_queue	*queue;
	/* Started by writer_start(); ended, and joined, by writer_stop(). */
	pthread_t		 thread;
	/* When the thread gave its last sign of life; 0: it is idle. Atomic:
	 * the thread writes it, and writer_status() reads it. */
	int64_t			 alive_at;	/* ms, clock_ms() */
	pthread_mutex_t		 lock;	/* guards status */
	struct writer_status	 status;

	/* ---- of the thread alone; all times are ms, clock_ms() ---- */
	struct db	*db;		/* NULL: it is not open */
	unsigned	 reopen_ms;	/* to wait before it is opened */
	int64_t		 check_at;	/* next writer_db_check() */
	struct db_files	 left;		/* of the database that was closed */
	bool		 unsynced;	/* a sync failed: its log has to be
					 * emptied before it is used */
	bool		 suspect;	/* it may be damaged: it has to be read
					 * whole before it is used */
	int64_t		 locked_since;	/* another process has the write lock */
	struct db	*old;		/* to be retired, or NULL */
	bool		 retired;	/* it was: db_renew() is due */
	int64_t		 old_since;	/* 0: its WRITER_RETIRING is reported */
	struct spool_import	*import;
	int64_t		 tick_at;	/* next look at the mapping table */
	bool		 tick;		/* this round looked at it */
	int64_t		 map_edits;	/* of the mapping, as last seen */
	bool		 remap;		/* it was edited: unmapped rows have to
					 * be looked at, */
	int64_t		 remap_cursor;	/* those after this id */
};

/* ---- writer.c ---- */

void		writer_report(struct writer *, enum writer_event, enum fault,
		    const char *why, unsigned long count);

/* Gives a sign of life: before each step that should not take long. */
void		writer_set_alive(struct writer *);

/* ---- writer_db.c ---- */

/* Opens the database, and makes sure that it can be relied on. */
enum fault	writer_db_open(struct writer *, char why[DB_WHY])
		    __attribute__((warn_unused_result));

/* Once a second: whether another connection could open the database.
 * FAULT_CORRUPT: it could not. */
enum fault	writer_db_check(struct writer *)
		    __attribute__((warn_unused_result));

/* Leaves the database because of a fault; a later round opens it anew. Files
 * that are gone (FAULT_GONE) have to be retired first. */
void		writer_db_leave(struct writer *, enum fault);

/* Retires (db.h) the files that were left. FAULT_GONE: not possible yet. */
enum fault	writer_db_retire(struct writer *)
		    __attribute__((warn_unused_result));

/* ---- writer_commit.c ---- */

/* Writes the requests that are queued, as many as one transaction may hold.
 * With an empty queue it commits something that changes nothing, to see whether
 * the database can be written to. */
enum fault	writer_commit_queued(struct writer *)
		    __attribute__((warn_unused_result));

/* Counts a commit of n rows, also in *rows, a member of the status. */
void		writer_commit_count(struct writer *, unsigned long *rows,
		    unsigned long n);

/* Tells the callers of these jobs how their commit ended. */
void		writer_commit_finish(struct writer *, struct commit_job *,
		    enum fault);

#endif
