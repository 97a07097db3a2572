/* A change of an issue -> the body of the hook that would have told it. */
#ifndef HOOK_BODY_H
#define HOOK_BODY_H

#include "backfill/change.h"

/* Appends the body: compact JSON, as Sentry writes it. `issue` is the issue as
 * the list of issues has it now. What the activities know of it at the time of
 * the change takes the place of what is so now: status, substatus,
 * statusDetails and assignedTo; counts and dates of its events are those of
 * now. `installation` is a uuid, { NULL, 0 } if none is known. */
void	hook_body(struct text *, struct json issue, const struct change *,
	    struct span installation);

#endif
