/* A stream of NATS JetStream, as libnats gives it: the only door to that. */
#ifndef NATS_STREAM_H
#define NATS_STREAM_H

#include "sink/nats_unacked.h"

enum nats_stream_state {
	NATS_STREAM_FITS,
	NATS_STREAM_AWAY,	/* it may come, or come back, by itself */
	NATS_STREAM_UNFIT	/* somebody has to change something */
};

enum nats_stream_link {
	NATS_LINK_NONE,
	NATS_LINK_UP,
	NATS_LINK_LOST,
	NATS_LINK_CLOSED
};

struct nats_stream;

/* Acknowledgements become verdicts in `waiting`, on threads of the library.
 * NULL with `why` in a line. */
struct nats_stream	*nats_stream_open(const struct nats_sink_config *,
		    struct nats_unacked *, char why[SINK_WHY]);
/* False: a thread may still be there, and what it needs has to stay. */
bool		 nats_stream_close(struct nats_stream *);

/* Each says why in a line if it does not fit. nats_stream_look() sets the
 * sink's name and last_seq if it does. */
enum nats_stream_state nats_stream_connect(
    struct nats_stream *, char why[SINK_WHY]);
enum nats_stream_state nats_stream_look(struct nats_stream *, struct sink *,
		    char why[SINK_WHY]);

/* A link that is lost comes back by itself; one that was closed, with words,
 * does not. */
enum nats_stream_link nats_stream_link(struct nats_stream *);
uint64_t	 nats_stream_reconnects(struct nats_stream *);
void nats_stream_closed_why(struct nats_stream *, char why[SINK_WHY]);
/* Rows that wait get a verdict: it comes from nobody else any more. */
void		 nats_stream_fail_rows(struct nats_stream *, const char *why);

/* Publishes a row that is in `waiting`. */
void		 nats_stream_send(struct nats_stream *, const struct row *);

/* As in struct sink_ops. */
int		 nats_stream_holds(struct nats_stream *, uint64_t last_seq,
		    uint64_t seq, const char *event_id);

#endif
