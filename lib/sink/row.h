/* A row of the outbox on its way out: the deliverer hands it to a sink, and
 * the sink hands it back with its fate. */
#ifndef ROW_H
#define ROW_H

#include "base/text.h"

#define ROW_WHY		256	/* bytes of a reason, with its NUL */
#define ROW_EVENT_ID	96	/* bytes of an event id, with its NUL */

/* What became of one attempt to deliver a row. */
enum fate {
	FATE_DELIVERED,		/* the sink has it on its disk */
	FATE_ACKED,		/* the sink has it, perhaps in memory only */
	FATE_LATER,		/* try again; the attempt is counted */
	FATE_UNREACHABLE,	/* no server was there. All rows wait, and of
				 * those that come back together only one has
				 * its attempt counted */
	FATE_REFUSED,		/* the sink will never take it: it is dead */
	FATE_MISCONFIGURED	/* a wrong key, say. All rows wait, and no
				 * attempt is counted */
};

/* Rows share what may be in flight by lanes, so that a workspace whose rows get
 * no answer does not hold up the others. A lane is a number below ROW_LANES, a
 * hash of the workspace's id; a few workspaces may share one. */
#define ROW_LANES	256

/* Whoever has a row in a list owns it. */
struct row {
	struct row	*next;
	int64_t		 id;
	unsigned	 attempts;	/* before this one */
	char		 event_id[ROW_EVENT_ID];
	struct text	 workspace_id;
	unsigned	 lane;		/* row_lane(workspace_id) */
	struct text	 envelope;	/* the bytes that leave */
	/* Set by the sink: */
	enum fate	 fate;
	int64_t		 after_ms;	/* LATER: how long the sink asks us to
					 * wait (Retry-After), or 0 */
	uint64_t	 seq;		/* ACKED: its sequence in the stream */
	char		 why[ROW_WHY];	/* the reason, if it was not taken */
	unsigned	 generation;	/* the stream's (nats_sink.c) */
	/* Set by the deliverer: */
	int64_t		 due_at;	/* ms: LATER: the next attempt;
					 * ACKED: when to confirm it */
	struct row	*hash_next;	/* in_flight.c */
};

struct row	*row_new(void);			/* NULL without memory */
void		 row_free(struct row *);
void		 row_free_all(struct row *);	/* a list */

/* Sets the fate and its reason, of which ROW_WHY - 1 bytes are kept; a byte
 * that is not printable ASCII becomes '?'. */
void		 row_set_fate(struct row *, enum fate, struct span why);

/* A hash (FNV-1a) of some bytes, and the lane of a workspace. */
uint32_t	 row_hash(struct span);
unsigned	 row_lane(struct span workspace_id);

/* Rows in the order in which they were added. It must not be moved in memory
 * once it is started: `end` may point into it. */
struct row_list {
	struct row	*first, **end;
};
void		 row_list_start(struct row_list *);
void		 row_list_add(struct row_list *, struct row *);	/* one row */

#endif
