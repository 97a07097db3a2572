/* Rows that travel together: as many as fit, fewer once they were refused. */
#ifndef BATCH_H
#define BATCH_H

#include "sink/sink.h"

/* What one request carries; the rows are its own. */
struct group {
	struct group	*next;
	struct row	*rows;
	unsigned	 count;
	bool		 tried;		/* they have failed before */
	unsigned	 lane;		/* of all of them (sink.h) */
};

struct line {
	struct row	*first, **tail;
};

struct batch {
	unsigned	 most_rows;	/* in a group */
	size_t		 most_bytes;	/* likewise, if it has several rows */
	unsigned	 alone;		/* after so many attempts */
	unsigned	 few;		/* tried rows in a group */
	struct line	 fresh, tried;
	unsigned	 most_sent;	/* groups of a lane on their way */
	unsigned	 sent[2][ROW_LANES];	/* [1]: tried ones */
	unsigned	 sent_tried;
	struct group	*halves;	/* of refused groups; they go first */
};

/* A row that has failed `alone` times travels alone: its last attempts, so
 * that no row dies of another's fault. */
void		 batch_start(struct batch *, unsigned most_rows,
		    size_t most_bytes, unsigned most_sent, unsigned alone);
void		 batch_release(struct batch *);
void		 batch_add(struct batch *, struct row *);	/* a list */

/* The next group, of the lane that has the fewest on their way; NULL when none
 * may go (or without memory). A row that has failed may be what makes others
 * fail, or hang until the sink's time is over: these travel with their like,
 * have one of most_sent groups less than that, and a lane one less of these.
 * If most_sent + 1 groups leave at once, no lane has them all. */
struct group	*batch_next(struct batch *);
/* It is no longer on its way; its rows may be gone. */
void		 batch_done(struct batch *, unsigned lane, bool tried);

/* What became of a group. As long as groups of tried rows are taken, the next
 * ones grow; after one that failed each travels alone, for a beginning. */
void		 batch_learn(struct batch *, const struct group *,
		    bool taken);

/* Takes back a group as two: its first `at` rows, and the others, if there are
 * any. False without memory; it is the caller's then. */
bool		 batch_split(struct batch *, struct group *, unsigned at);

/* Appends the group's envelopes as a JSON array to an emptied text. */
void		 group_write(struct text *, const struct group *);

/* Frees a group; its rows with it, or with a verdict into the list *to. */
void		 group_free(struct group *);
void		 group_judge(struct group *, struct row **to, enum fate,
		    int64_t after_ms, struct span why);

/* The group's first `count` rows, of more than that, are delivered. */
void		 group_deliver(struct group *, struct row **to,
		    unsigned count);

#endif
