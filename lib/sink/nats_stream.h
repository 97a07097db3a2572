/* A stream of NATS JetStream, as libnats gives it. */
#ifndef NATS_STREAM_H
#define NATS_STREAM_H

#include "sink/nats_sink.h"
#include "sink/nats_unacked.h"

enum nats_stream_state {
	NATS_STREAM_FITS,	/* rows can be published to it */
	NATS_STREAM_AWAY,	/* no answer: it may come back by itself */
	NATS_STREAM_UNFIT	/* somebody has to change something */
};

enum nats_stream_link {
	NATS_LINK_NONE,		/* never connected, or given up */
	NATS_LINK_UP,
	NATS_LINK_LOST,		/* the library connects again by itself */
	NATS_LINK_CLOSED	/* the server ended it with an error: it does
				 * not come back */
};

struct nats_stream;

/* Does not connect yet. Acknowledgements become fates of the rows in `unacked`,
 * on threads of the library. NULL with the reason in `why`. */
struct nats_stream	*nats_stream_open(const struct nats_sink_config *,
			    struct nats_unacked *unacked, char why[SINK_WHY]);
/* False: a thread of the library may still run, and `unacked` must stay. */
bool	nats_stream_close(struct nats_stream *);

/* Both write the reason into `why` unless the stream fits. connect() waits for
 * up to 2 s a server; inspect() asks for the stream's configuration and state,
 * creates it if that is configured, and sets the sink's name and last_seq. */
enum nats_stream_state	nats_stream_connect(struct nats_stream *,
			    char why[SINK_WHY]);
enum nats_stream_state	nats_stream_inspect(struct nats_stream *,
			    struct sink *, char why[SINK_WHY]);

enum nats_stream_link	nats_stream_link(struct nats_stream *);
uint64_t	nats_stream_reconnects(struct nats_stream *);	/* so far */
/* Why the server has closed the connection. */
void	nats_stream_closed_why(struct nats_stream *, char why[SINK_WHY]);

/* Ends the connection, and gives all rows in `unacked` a fate: no answer comes
 * for them any more. */
void	nats_stream_disconnect(struct nats_stream *, const char *why);

/* Publishes a row that is in `unacked`. */
void	nats_stream_send(struct nats_stream *, const struct row *);

/* As holds() of struct sink_ops; last_seq is the sink's. */
int	nats_stream_holds(struct nats_stream *, uint64_t last_seq,
	    uint64_t seq, const char *event_id);

#endif
