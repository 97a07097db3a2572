/* The exception of an event, and the stack frames that belong to it. */
#ifndef FRAMES_H
#define FRAMES_H

#include "hook/facts.h"

/* The exception that `main_exception_id` names; JSON_MISSING if none is named.
 * */
struct json	frames_main_exception(const struct facts *);

/* The exception that was raised: the main one, else the last with frames
 * (Sentry lists causes first), else the last. In an issue hook the first. */
struct json	frames_raised(const struct facts *);

/* Whether an exception has a stack trace. In hooks other than those of issues a
 * thread's stack trace and the event's own count as well. */
bool		frames_exist(const struct facts *);

/* Adds the heading and the three newest in-app frames to a body. Sentry has the
 * newest frame last. */
void		frames_add(struct text *, const struct facts *);

#endif
