/* The subjects of NATS under which events are published. */
#ifndef NATS_SUBJECT_H
#define NATS_SUBJECT_H

#include "base/text.h"

/* Of all workspaces. */
#define NATS_SUBJECT_ALL	"sentry.observation.>"

/* Appends `sentry.observation.WORKSPACE`; a byte of the workspace that is not a
 * letter, a digit, '-' or '_' becomes '_': a token must not hold dots, blanks
 * and wildcards. */
void	nats_subject_write(struct text *, struct span workspace_id);

/* Whether a stream with this pattern among its subjects takes the messages of
 * every workspace. */
bool	nats_subject_fits(const char *pattern);

/* Whether it takes the requests to JetStream about a stream, which have the
 * subject $JS.API.STREAM.INFO.NAME. Such a stream acknowledges a request, and
 * the acknowledgement comes back as if it were the answer. It depends on the
 * server's version whether it allows such a stream. */
bool	nats_subject_takes_requests(const char *pattern);

#endif
