/* An event API over HTTP as a sink: Inngest's, or one that answers alike. */
#ifndef HTTP_SINK_H
#define HTTP_SINK_H

#include "sink/sink.h"

struct http_sink_config {
	const char	*url;		/* may hold a key; used until close() */
	unsigned	 timeout_s;	/* for the whole of a request */
	unsigned	 requests;	/* in flight at once */
	unsigned	 events;	/* in a request, at most */
	size_t		 bytes;		/* in a request of several events */
	unsigned	 alone_after;	/* attempts (http_batch.h) */
};

/* NULL with the reason in `why`. */
struct sink	*http_sink_open(const struct http_sink_config *,
		    char why[SINK_WHY]);

#endif
