/* How to connect to NATS: servers, secrets, time-outs. */
#ifndef NATS_OPTIONS_H
#define NATS_OPTIONS_H

#include <nats/nats.h>

#include "sink/nats_sink.h"

/* Creates the options of a connection; the caller destroys *options, also after
 * an error. `on_error` is called, on a thread of the library, with `arg` for
 * errors that belong to no call. */
natsStatus	nats_options_create(natsOptions **options,
		    const struct nats_sink_config *, natsErrHandler on_error,
		    void *arg);

#endif
