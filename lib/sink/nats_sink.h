/* A stream of NATS JetStream as a sink. */
#ifndef NATS_SINK_H
#define NATS_SINK_H

#include "sink/sink.h"

/* The texts are used until close(). */
struct nats_sink_config {
	const char	*url;		/* or several, with commas between */
	const char	*stream;
	const char	*credentials;	/* a .creds file, or NULL */
	const char	*user, *password;	/* or NULL */
	const char	*ca;		/* a file of certificates, or NULL */
	bool		 create;	/* the stream, if it is not there */
	unsigned	 replicas;	/* of a stream that is created */
	unsigned	 window;	/* rows without an answer, at most */
	unsigned	 timeout_s;	/* for an acknowledgement */
};

/* Connects, and looks at the stream. A server that cannot be reached is no
 * error: it may come later. NULL with the reason in `why` when somebody has to
 * change the stream or the settings first. */
struct sink	*nats_sink_open(const struct nats_sink_config *,
		    char why[SINK_WHY]);

#endif
