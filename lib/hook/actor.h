/* Who did it, or whom it happened to. */
#ifndef ACTOR_H
#define ACTOR_H

#include "hook/facts.h"

/* Adds `"actor":{...}` if there is somebody: the assignee on `assigned`, else
 * the event's user, else the user that the envelope names. */
void	actor_add(struct text *, const struct facts *);

/* Adds `"triggeredBy":{...}`: the envelope's actor, whoever the other is. */
void	actor_add_envelopes(struct text *, const struct facts *);

#endif
