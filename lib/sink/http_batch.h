/* Rows that wait for a request, and the groups in which they travel: as many
 * as fit, and fewer once a group was refused. */
#ifndef HTTP_BATCH_H
#define HTTP_BATCH_H

#include "sink/row.h"

/* What one request carries. It owns its rows; they are of one lane (row.h). */
struct http_group {
	struct http_group	*next;
	struct row		*rows;
	unsigned		 count;
	bool			 tried;	/* they have failed before */
	unsigned		 lane;
};

/* Rows are `fresh` until they fail, and `tried` from then on. A tried row may
 * be the reason why its group fails, or hangs until the time-out. So tried rows
 * travel apart from fresh ones, in fewer groups, and alone after a failure. */
struct http_batch {
	unsigned		 most_rows;	/* in a group */
	size_t			 most_bytes;	/* in a group of several rows */
	unsigned		 most_sent;	/* groups of a lane in flight */
	unsigned		 alone_after;	/* attempts (see below) */
	unsigned		 tried_rows;	/* in a group of tried rows */
	struct row_list		 fresh, tried;
	unsigned		 sent[2][ROW_LANES];	/* groups in flight:
							 * fresh, tried */
	unsigned		 sent_tried;	/* of all lanes */
	struct http_group	*halves;	/* of refused groups */
};

/* Starts without rows. The limits are those of struct http_batch. A row that
 * has failed `alone_after` times travels alone from then on: its last attempts
 * cannot fail because of another row. */
void		 http_batch_start(struct http_batch *, unsigned most_rows,
		    size_t most_bytes, unsigned most_sent,
		    unsigned alone_after);
void		 http_batch_release(struct http_batch *);

/* Becomes the owner of a list of rows. */
void		 http_batch_add(struct http_batch *, struct row *);

/* Returns the next group to send, and counts it as in flight; NULL when no row
 * may leave now, or without memory. The order: halves of refused groups; tried
 * rows of a lane that has none of these in flight; fresh rows; other tried
 * rows. Of several lanes the one with the fewest groups in flight comes first.
 * Tried groups are at most most_sent - 1 together, and most_sent - 2 of one
 * lane. If the caller has most_sent + 1 groups in flight at once, one lane
 * never has them all. */
struct http_group	*http_batch_next(struct http_batch *);

/* A group of this lane is no longer in flight; its rows may be freed. */
void		 http_batch_done(struct http_batch *, unsigned lane,
		    bool tried);

/* Tells whether the sink took a group. After a failure tried rows travel
 * alone; each group of tried rows that is taken doubles the size of the next
 * ones, up to most_rows. */
void		 http_batch_learn(struct http_batch *,
		    const struct http_group *, bool taken);

/* Takes back a group as two groups: its first `at` rows, and the others if
 * there are any. False without memory; the group is the caller's then. */
bool		 http_batch_split(struct http_batch *, struct http_group *,
		    unsigned at);

/* Appends the group's envelopes as a JSON array. */
void		 http_group_write(struct text *, const struct http_group *);

void		 http_group_free(struct http_group *);	/* and its rows */

/* Sets all rows' fate, moves them into the list *to, and frees the group. */
void		 http_group_set_fate(struct http_group *, struct row **to,
		    enum fate, int64_t after_ms, struct span why);

/* Moves the first `count` rows, of more than that, into the list *to: they are
 * delivered. */
void		 http_group_deliver(struct http_group *, struct row **to,
		    unsigned count);

#endif
