/* Mapping, webhooks, outbox: what the database keeps. */
#ifndef STORE_H
#define STORE_H

#include "store/db.h"
#include "hook/observation.h"

/* Opens the database (db.h) with what the functions below need. */
enum fault	store_open(struct db **, const char *path, enum db_mode,
		    char why[DB_WHY]) __attribute__((warn_unused_result));

struct stored {
	bool	duplicate;	/* the delivery was there before, */
	bool	differs;	/* with another body */
	bool	unmapped;	/* no row of workspace_map fits */
};

/* Within a transaction: adds the hook, and the row of the outbox that its
 * observation becomes. An issue's observation may learn its release here.
 * What comes from the spool may be in the database already, because its
 * commit hung, and then ended well: that is one receipt, not a duplicate. */
enum origin { FROM_REQUEST, FROM_SPOOL };
enum fault	store_put(struct db *, const struct hook *,
		    struct observation *, enum origin, struct stored *)
		    __attribute__((warn_unused_result));

/* Within a transaction: changes nothing, but so that it has to be written. */
enum fault	store_probe(struct db *)
		    __attribute__((warn_unused_result));

/* How often workspace_map was edited so far. */
enum fault	store_map_edits(struct db *, int64_t *edits)
		    __attribute__((warn_unused_result));

/* Within a transaction: looks for a workspace for up to `limit` unmapped rows
 * behind *cursor, which moves on; *more says whether there are further. */
enum fault	store_remap(struct db *, int64_t *cursor, unsigned limit,
		    bool *more) __attribute__((warn_unused_result));

struct backlog {
	int64_t	pending, unmapped, acked, dead;		/* rows */
	/* When the first of them, by id, was received: ms, 0 for none. */
	int64_t	oldest_pending, oldest_unmapped, oldest_acked, oldest_dead;
	int64_t	last_hook;		/* of all: ms, 0 for none */
	int64_t	wal_bytes;
	int64_t	user_version;
};
enum fault	store_count_backlog(struct db *, struct backlog *)
		    __attribute__((warn_unused_result));

/* The same for a connection with statements of its own: this is the one it
 * needs, and `statement` is its index there. A row that is delivered is never
 * looked at: the indexes are partial, and hold all that is read. */
#define STORE_STATE(state) \
	"(SELECT count(*) AS n, min(id) AS first FROM outbox" \
	" INDEXED BY outbox_" state " WHERE state = '" state "') AS " state
#define STORE_RECEIVED(state) \
	" (SELECT created_at FROM outbox WHERE id = " state ".first)"
#define STORE_BACKLOG \
	"SELECT pending.n, unmapped.n, acked.n, dead.n," \
	STORE_RECEIVED("pending") "," STORE_RECEIVED("unmapped") "," \
	STORE_RECEIVED("acked") "," STORE_RECEIVED("dead") "," \
	" (SELECT received_at FROM webhook ORDER BY id DESC LIMIT 1)," \
	" (SELECT user_version FROM pragma_user_version) FROM " \
	STORE_STATE("pending") "," STORE_STATE("unmapped") "," \
	STORE_STATE("acked") "," STORE_STATE("dead")
enum fault	store_count_backlog_of(struct db *, unsigned statement,
		    struct backlog *) __attribute__((warn_unused_result));

#endif
