/* The bytes that leave for a row: one event, with the observation in it. */
#ifndef ENVELOPE_H
#define ENVELOPE_H

#include "base/text.h"

struct envelope {
	struct span	event_id;
	int64_t		received_at;	/* ms since 1970 */
	struct span	workspace_id;
	struct span	store_id;
	struct span	source_event;	/* JSON */
};

/* Appends an event as Inngest's event API takes it: one JSON object, without a
 * newline. The view outbox_event gives the same. */
void	envelope_write(struct text *, const struct envelope *);

#endif
