/* A hook told for people: the observation's body. */
#ifndef BODY_H
#define BODY_H

#include "subject.h"

#define BODY_MAX	65535	/* bytes */

/* Appends the body to an empty text and cuts it to its limit: for issues the
 * plan's, to the byte; for events its builder over the event. What the payload
 * does not hold drops its line. */
void	body_of(struct text *, const struct subject *);

#endif
