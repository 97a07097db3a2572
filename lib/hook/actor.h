/* The actor of an observation: who did it, or to whom it happened. */
#ifndef ACTOR_H
#define ACTOR_H

#include "hook/facts.h"

/* Appends `"actor":{...}` if there is one: the assignee on `assigned`, else the
 * event's user, else the user that the hook's envelope names. */
void	actor_add(struct text *, const struct facts *);

/* Appends `"triggeredBy":{...}`, the envelope's actor, if there is one. */
void	actor_add_triggered_by(struct text *, const struct facts *);

#endif
