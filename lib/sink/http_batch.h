/* Rows that travel together: as many as fit, fewer once they were refused. */
#ifndef HTTP_BATCH_H
#define HTTP_BATCH_H

#include "sink/sink.h"

/* What one request carries; the rows are its own. */
struct http_group {
	struct http_group	*next;
	struct row	*rows;
	unsigned	 count;
	bool		 tried;		/* they have failed before */
	unsigned	 lane;		/* of all of them (sink.h) */
};

struct row_queue {
	struct row	*first, **tail;
};

struct http_batch {
	unsigned	 most_rows;	/* in a group */
	size_t		 most_bytes;	/* likewise, if it has several rows */
	unsigned	 alone;		/* after so many attempts */
	unsigned	 few;		/* tried rows in a group */
	struct row_queue	 fresh, tried;
	unsigned	 most_sent;	/* groups of a lane on their way */
	unsigned	 sent[2][ROW_LANES];	/* [1]: tried ones */
	unsigned	 sent_tried;
	struct http_group *halves; /* of refused groups; they go first */
};

/* A row that has failed `alone` times travels alone: its last attempts, so
 * that no row dies of another's fault. */
void		 http_batch_start(struct http_batch *, unsigned most_rows,
		    size_t most_bytes, unsigned most_sent, unsigned alone);
void		 http_batch_release(struct http_batch *);
void http_batch_add(struct http_batch *, struct row *); /* a list */

/* The next group, of the lane that has the fewest on their way; NULL when none
 * may go (or without memory). A row that has failed may be what makes others
 * fail, or hang until the sink's time is over: these travel with their like,
 * have one of most_sent groups less than that, and a lane one less of these.
 * If most_sent + 1 groups leave at once, no lane has them all. */
struct http_group	*http_batch_next(struct http_batch *);
/* It is no longer on its way; its rows may be gone. */
void http_batch_done(struct http_batch *, unsigned lane, bool tried);

/* What became of a group. As long as groups of tried rows are taken, the next
 * ones grow; after one that failed each travels alone, for a beginning. */
void http_batch_learn(
    struct http_batch *, const struct http_group *, bool taken);

/* Takes back a group as two: its first `at` rows, and the others, if there are
 * any. False without memory; it is the caller's then. */
bool http_batch_split(struct http_batch *, struct http_group *, unsigned at);

/* Appends the group's envelopes as a JSON array to an emptied text. */
void		 http_group_write(struct text *, const struct http_group *);

/* Frees a group; its rows with it, or with a verdict into the list *to. */
void		 http_group_free(struct http_group *);
void http_group_set_fate(struct http_group *, struct row **to, enum fate,
    int64_t after_ms, struct span why);

/* The group's first `count` rows, of more than that, are delivered. */
void		 http_group_deliver(struct http_group *, struct row **to,
		    unsigned count);

#endif
