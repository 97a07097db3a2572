/* A stream of NATS JetStream, as libnats gives it: the only door to that. */
#ifndef STREAM_H
#define STREAM_H

#include "sink/nats_unacked.h"

enum stream_state {
	STREAM_FITS,
	STREAM_AWAY,	/* it may come, or come back, by itself */
	STREAM_UNFIT	/* somebody has to change something */
};

enum stream_link { LINK_NONE, LINK_UP, LINK_LOST, LINK_CLOSED };

struct stream;

/* Acknowledgements become verdicts in `waiting`, on threads of the library.
 * NULL with `why` in a line. */
struct stream	*stream_open(const struct sink_nats_config *,
		    struct waiting *, char why[SINK_WHY]);
/* False: a thread may still be there, and what it needs has to stay. */
bool		 stream_close(struct stream *);

/* Each says why in a line if it does not fit. stream_look() sets the sink's
 * name and last_seq if it does. */
enum stream_state stream_connect(struct stream *, char why[SINK_WHY]);
enum stream_state stream_look(struct stream *, struct sink *,
		    char why[SINK_WHY]);

/* A link that is lost comes back by itself; one that was closed, with words,
 * does not. */
enum stream_link stream_link(struct stream *);
uint64_t	 stream_reconnects(struct stream *);
void		 stream_closed_why(struct stream *, char why[SINK_WHY]);
/* Rows that wait get a verdict: it comes from nobody else any more. */
void		 stream_hang_up(struct stream *, const char *why);

/* Publishes a row that is in `waiting`. */
void		 stream_send(struct stream *, const struct row *);

/* As in struct sink_ops. */
int		 stream_holds(struct stream *, uint64_t last_seq,
		    uint64_t seq, const char *event_id);

#endif
