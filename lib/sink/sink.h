/* Where rows leave: one interface, a file for each kind of sink. */
#ifndef SINK_H
#define SINK_H

#include "sink/retry.h"
#include "base/text.h"

#define ROW_WHY		256
#define ROW_EVENT_ID	96	/* bytes of an event id, with its NUL */

/* A row of the outbox on its way, owned by whoever has it in a list. */
struct row {
	struct row	*next;
	int64_t		 id;
	unsigned	 attempts;	/* before this one */
	char		 event_id[ROW_EVENT_ID];
	struct text	 workspace_id;
	unsigned	 lane;		/* row_lane() of it */
	struct text	 envelope;	/* the bytes that leave */
	/* The verdict, set by the sink: */
	enum fate	 fate;
	int64_t		 after_ms;	/* LATER: the sink's own wish, or 0 */
	int64_t		 due_at;	/* ms; by the one who keeps count */
	uint64_t	 seq;		/* ACKED: its place there */
	char		 why[ROW_WHY];	/* not delivered: in the sink's words */
	/* The keeper's: */
	struct row	*hash_next;
	unsigned	 mark;		/* the sink's */
};

struct row	*row_new(void);		/* NULL without memory */
void		 row_free(struct row *);

/* Workspaces share what is in flight by lanes, so that one whose rows get no
 * answer holds up no other: a number below ROW_LANES for each. */
#define ROW_LANES	256
unsigned	 row_lane(struct span workspace_id);
void		 row_free_all(struct row *);	/* a list */
/* Sets the verdict; `why` is cut, and what cannot be shown becomes '?'. */
void		 row_set_fate(struct row *, enum fate, struct span why);

#define SINK_WHY	256
#define SINK_NAME	160

struct sink;

struct sink_ops {
	/* How many rows it takes now; 0 while it is busy, or not there. */
	unsigned	(*room)(struct sink *);
	/* Takes over a list of rows. Each comes back from wait(), once. */
	void		(*give)(struct sink *, struct row *);
	/* Sends and receives for up to ms; returns the rows that have got
	 * their verdicts, in any order, or NULL. */
	struct row	*(*wait)(struct sink *, int ms);
	/* Ends at once; rows that it still has are freed: they stay as they
	 * are in the outbox. */
	void		(*close)(struct sink *);

	/* For sinks that say ACKED before a row is on their disk; else NULL.
	 * look() asks how things are: 0, or -1 while nobody knows. It may
	 * change `name` (another stream has taken the place) and `last_seq`.
	 * holds() asks whether this sequence still is this event: 1, 0, or -1
	 * while nobody knows. */
	int		(*look)(struct sink *);
	int		(*holds)(struct sink *, uint64_t seq,
			    const char *event_id);
};

/* What every kind begins with. */
struct sink {
	const struct sink_ops	*ops;
	char			 name[SINK_NAME];	/* no secret in it */
	uint64_t		 last_seq;	/* the stream's, by look() */
	/* Why it takes nothing, "" while all is well. Whoever reads it says
	 * it; it holds no secret. */
	char			 trouble[SINK_WHY];
	bool			 over;	/* it will never take a row again */
	/* What may be wrong with how it is set up, to be said at the start; or
	 * NULL. */
	const char		*doubt;
};

/* Each returns NULL with `why` in a line. */
struct sink	*print_sink_open(int fd, char why[SINK_WHY]);

struct http_sink_config {
	const char	*url;		/* may hold a key; until close */
	unsigned	 timeout_s;
	unsigned	 requests;	/* in flight at once */
	unsigned	 events;	/* most in a request */
	size_t		 bytes;		/* most in a request of several */
	unsigned	 alone;		/* after so many attempts (batch.h) */
};
struct sink	*http_sink_open(const struct http_sink_config *,
		    char why[SINK_WHY]);

struct nats_sink_config {
	const char	*url;
	const char	*stream;
	const char	*credentials;	/* a .creds file, or NULL */
	const char	*user, *password;	/* or NULL */
	const char	*ca;		/* a file, or NULL */
	bool		 create;
	unsigned	 replicas;	/* for create */
	unsigned	 window;	/* unacknowledged at once */
	unsigned	 timeout_s;
};
struct sink	*nats_sink_open(const struct nats_sink_config *,
		    char why[SINK_WHY]);

#endif
