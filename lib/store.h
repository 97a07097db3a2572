/* Mapping, webhooks, outbox: the database, and the only door to SQLite. */
#ifndef STORE_H
#define STORE_H

#include "fault.h"
#include "observe.h"

/* A connection; one thread at a time. */
struct store;

enum store_mode {
	STORE_WRITE,	/* creates and migrates; may checkpoint */
	STORE_READ	/* never changes anything */
};

/* Opens the database at `path`. On a fault *s is NULL and `why` (of
 * STORE_WHY bytes) says in a line what is wrong. */
#define STORE_WHY	256
enum fault	store_open(struct store **s, const char *path,
		    enum store_mode, char why[STORE_WHY])
		    __attribute__((warn_unused_result));
/* With a last checkpoint if it was open for writing and nobody is in the
 * way. */
void		store_close(struct store *);
/* Without: after a fault, or when the file is no longer ours. */
void		store_abandon(struct store *);

/* SQLite's words for the last fault; until the next call on s. */
const char	*store_why(const struct store *);

/* A transaction. store_begin() waits some 50 ms for another writer and says
 * FAULT_BUSY then; FAULT_GONE when the path no longer leads to the file that
 * is open. After any other fault but FAULT_REFUSED roll back, close and open
 * anew: after a failed sync nothing in memory may be trusted. A commit that
 * says FAULT_NONE is on stable storage. */
enum fault	store_begin(struct store *)
		    __attribute__((warn_unused_result));
enum fault	store_commit(struct store *)
		    __attribute__((warn_unused_result));
void		store_rollback(struct store *);

struct stored {
	bool	duplicate;	/* the delivery was there before */
	bool	unmapped;	/* no row of workspace_map fits */
};

/* Within a transaction: adds the hook, and the row of the outbox that its
 * observation becomes. An issue's observation may learn its release here.
 * What comes from the spool may be in the database already, because its
 * commit hung, and then ended well: that is one receipt, not a duplicate. */
enum origin { FROM_REQUEST, FROM_SPOOL };
enum fault	store_put(struct store *, const struct hook *,
		    struct observation *, enum origin, struct stored *)
		    __attribute__((warn_unused_result));

/* Within a transaction: changes nothing, but so that it has to be written. */
enum fault	store_probe(struct store *)
		    __attribute__((warn_unused_result));

/* How often workspace_map was edited so far. */
enum fault	store_map_edits(struct store *, int64_t *edits)
		    __attribute__((warn_unused_result));

/* Within a transaction: looks for a workspace for up to `limit` unmapped rows
 * behind *cursor, which moves on; *more says whether there are further. */
enum fault	store_remap(struct store *, int64_t *cursor, unsigned limit,
		    bool *more) __attribute__((warn_unused_result));

/* Outside a transaction, cheap when there is little to do: moves what the WAL
 * has collected into the database. */
void		store_checkpoint(struct store *);

struct census {
	int64_t	pending, unmapped, acked, dead;		/* rows */
	int64_t	oldest_pending;				/* ms; 0 for none */
	int64_t	wal_bytes;
	int64_t	user_version;
};
enum fault	store_census(struct store *, struct census *)
		    __attribute__((warn_unused_result));

/* SQLite's version, as in "3.40.1". */
const char	*store_sqlite_version(void);

#endif
