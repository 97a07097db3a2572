/* What the worker keeps in the database (schema.sql): webhooks, the outbox,
 * the mapping of projects to workspaces, and the releases of issues. */
#ifndef STORE_H
#define STORE_H

#include "store/db.h"
#include "hook/observation.h"

/* Opens the database (db.h) with the statements of the functions below. */
enum fault	store_open(struct db **, const char *path, enum db_mode,
		    char why[DB_WHY]) __attribute__((warn_unused_result));

struct stored {
	bool	duplicate;	/* the delivery was there already, */
	bool	differs;	/* and with another body */
	bool	unmapped;	/* no row of workspace_map fits */
};

/* Within a transaction: adds the hook to the table webhook, and its observation
 * to the outbox; a hook that is there already is only counted. An observation
 * that lacks a release may get one here: the one in which its issue was last
 * seen. A hook from the spool may be in the database because its commit took
 * too long, but ended well: that was one delivery, not counted as two. */
enum origin { FROM_REQUEST, FROM_SPOOL };
enum fault	store_put(struct db *, const struct hook *,
		    struct observation *, enum origin, struct stored *)
		    __attribute__((warn_unused_result));

/* Within a transaction: notes that the issue was seen in a release, `at` ms
 * since 1970. The environment may be { NULL, 0 }; without an issue or a release
 * nothing is noted. */
enum fault	store_put_issue_release(struct db *, struct span issue,
		    struct span release, struct span environment, int64_t at)
		    __attribute__((warn_unused_result));

/* ---- for reprocess.h: each within a transaction ---- */

/* A row of the outbox. */
struct store_row {
	int64_t		webhook_id;	/* the kept hook's */
	int64_t		received_at;	/* likewise, in ms */
	struct span	event_id;
	const struct observation *observation;
};

/* Adds a row, with the workspace that the mapping has for its project. */
enum fault	store_add_row(struct db *, const struct store_row *,
		    bool *unmapped) __attribute__((warn_unused_result));

/* Replaces the hook's row if that still has this event id and state. It becomes
 * pending or unmapped, due at `due_at` (ms); a dead row stays dead. */
enum fault	store_replace_row(struct db *, const struct store_row *,
		    struct span old_id, struct span old_state, int64_t due_at,
		    bool *replaced) __attribute__((warn_unused_result));

/* Marks the hook as observed and reprocessed at `now` (ms). *marked is false
 * if it is gone, or has no row in the outbox though it `had_row`, or has one
 * by now. */
enum fault	store_mark_observed(struct db *, int64_t webhook_id,
		    const struct observation *, bool had_row, int64_t now,
		    bool *marked) __attribute__((warn_unused_result));

/* Notes the release in which the observation's issue was seen, if it names
 * both (issue_release.h). */
enum fault	store_put_release(struct db *, int64_t received_at,
		    const struct observation *)
		    __attribute__((warn_unused_result));

/* Adds `rows` to a run's row in the table replay. *run is its id; 0 before the
 * first call, which makes the row from the other arguments. */
enum fault	store_note_run(struct db *, int64_t *run, int64_t rows,
		    int64_t now, struct span selection, bool new_id)
		    __attribute__((warn_unused_result));

/* Within a transaction: writes a row as it was, to see whether a commit that
 * has something to write succeeds. */
enum fault	store_probe(struct db *)
		    __attribute__((warn_unused_result));

/* How often workspace_map was edited so far. */
enum fault	store_map_edits(struct db *, int64_t *edits)
		    __attribute__((warn_unused_result));

/* Within a transaction: looks for a workspace for up to `limit` unmapped rows,
 * those with the next ids after *cursor. *cursor becomes the last id of them
 * (start with 0); *more says whether there may be further ones. */
enum fault	store_remap(struct db *, int64_t *cursor, unsigned limit,
		    bool *more) __attribute__((warn_unused_result));

/* What waits in the outbox. Times are ms since 1970, 0 where there is none. */
struct backlog {
	int64_t	pending, unmapped, acked, dead;		/* rows */
	/* When the one with the lowest id was received. */
	int64_t	oldest_pending, oldest_unmapped, oldest_acked, oldest_dead;
	int64_t	last_hook;		/* when the newest one came; 0, too,
					 * if 1,000 were backfilled since */
	int64_t	wal_bytes;		/* the log's length */
	int64_t	user_version;		/* of the schema */
};
enum fault	store_count_backlog(struct db *, struct backlog *)
		    __attribute__((warn_unused_result));

/* The same for a connection that was opened with other statements, among them
 * STORE_BACKLOG with the index `statement`. It reads partial indexes alone,
 * which do not hold delivered rows: those cost nothing here. */
#define STORE_STATE(state) \
	"(SELECT count(*) AS n, min(id) AS first FROM outbox" \
	" INDEXED BY outbox_" state " WHERE state = '" state "') AS " state
#define STORE_RECEIVED(state) \
	" (SELECT created_at FROM outbox WHERE id = " state ".first)"
#define STORE_BACKLOG \
	"SELECT pending.n, unmapped.n, acked.n, dead.n," \
	STORE_RECEIVED("pending") "," STORE_RECEIVED("unmapped") "," \
	STORE_RECEIVED("acked") "," STORE_RECEIVED("dead") "," \
	" (SELECT max(received_at) FROM (SELECT received_at, origin" \
	" FROM webhook ORDER BY id DESC LIMIT 1000) WHERE origin = 'hook')," \
	" (SELECT user_version FROM pragma_user_version) FROM " \
	STORE_STATE("pending") "," STORE_STATE("unmapped") "," \
	STORE_STATE("acked") "," STORE_STATE("dead")
enum fault	store_count_backlog_of(struct db *, unsigned statement,
		    struct backlog *) __attribute__((warn_unused_result));

#endif
