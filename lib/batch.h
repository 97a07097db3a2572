/* Rows that travel together: as many as fit, fewer once they were refused. */
#ifndef BATCH_H
#define BATCH_H

#include "sink.h"

/* What one request carries; the rows are its own. */
struct group {
	struct group	*next;
	struct row	*rows;
	unsigned	 count;
	bool		 tried;		/* they have failed before */
};

struct line {
	struct row	*first, **tail;
};

struct batch {
	unsigned	 most_rows;	/* in a group */
	size_t		 most_bytes;	/* likewise, if it has several rows */
	unsigned	 alone;		/* after so many attempts */
	unsigned	 few;		/* tried rows in a group */
	unsigned	 count;		/* rows that wait, but for `tried` */
	struct line	 fresh, tried;
	struct group	*halves;	/* of refused groups; they go first */
};

/* A row that has failed `alone` times travels alone: its last attempts, so
 * that no row dies of another's fault. */
void		 batch_start(struct batch *, unsigned most_rows,
		    size_t most_bytes, unsigned alone);
void		 batch_release(struct batch *);
void		 batch_add(struct batch *, struct row *);	/* a list */

/* The next group, NULL when no row waits (or without memory). A row that has
 * failed may be what makes others fail: these travel with their like, and only
 * if `tried`. */
struct group	*batch_next(struct batch *, bool tried);

/* What became of a group. As long as groups of tried rows are taken, the next
 * ones grow; after one that failed each travels alone, for a beginning. */
void		 batch_learn(struct batch *, const struct group *,
		    bool taken);

/* Takes back a group of several rows, as two. False without memory. */
bool		 batch_split(struct batch *, struct group *);

/* Appends the group's envelopes as a JSON array to an emptied text. */
void		 group_write(struct text *, const struct group *);

/* Frees a group; its rows with it, or with a verdict into the list *to. */
void		 group_free(struct group *);
void		 group_judge(struct group *, struct row **to, enum fate,
		    int64_t after_ms, struct span why);

#endif
