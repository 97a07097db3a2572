/* An observation -> the bytes that leave: the capture event. */
#ifndef ENVELOPE_H
#define ENVELOPE_H

#include "base/text.h"

struct envelope {
	struct span	event_id;
	int64_t		received_at;	/* ms */
	struct span	workspace_id;
	struct span	store_id;
	struct span	source_event;	/* JSON */
};

/* Appends one JSON object, without a newline: Inngest's event. The same as
 * the view outbox_event gives. */
void	envelope_write(struct text *, const struct envelope *);

/* Appends `sentry.observation.WORKSPACE`, where each byte of the workspace
 * that a NATS subject's token must not hold has become '_'. */
void	envelope_subject(struct text *, struct span workspace_id);

/* Whether a stream with this among its subjects takes every such message. */
bool	envelope_subject_fits(const char *pattern);

#endif
