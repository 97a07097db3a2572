/* Rows that travel together: as many as fit, fewer once they were refused. */
#ifndef BATCH_H
#define BATCH_H

#include "sink.h"

/* What one request carries; the rows are its own. */
struct group {
	struct group	*next;
	struct row	*rows;
	unsigned	 count;
};

struct batch {
	unsigned	 most_rows;	/* in a group */
	size_t		 most_bytes;	/* likewise, if it has several rows */
	unsigned	 count;		/* rows that wait for a group */
	struct row	*fresh, **tail;
	struct group	*halves;	/* of refused groups; they go first */
};

void		 batch_start(struct batch *, unsigned most_rows,
		    size_t most_bytes);
void		 batch_release(struct batch *);
void		 batch_add(struct batch *, struct row *);	/* a list */

/* The next group, NULL when no row waits (or without memory). A row that has
 * failed more than once may be what makes others fail: it comes to travel
 * with few, and at last alone. */
struct group	*batch_next(struct batch *);

/* Takes back a group of several rows, as two. False without memory. */
bool		 batch_split(struct batch *, struct group *);

/* Appends the group's envelopes as a JSON array to an emptied text. */
void		 group_write(struct text *, const struct group *);

/* Frees a group; its rows with it, or with a verdict into the list *to. */
void		 group_free(struct group *);
void		 group_judge(struct group *, struct row **to, enum fate,
		    int64_t after_ms, struct span why);

#endif
