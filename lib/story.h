/* A hook told for people: the observation's title and body. */
#ifndef STORY_H
#define STORY_H

#include "subject.h"

#define TITLE_MAX	1000	/* code points */
#define BODY_MAX	65535	/* bytes */

/* Both append to an empty text and cut it to its limit. The forms are the
 * plan's for issues (to the byte) and its builder over the event for the
 * others; what the payload does not hold drops its line. */
void	story_title(struct text *, const struct subject *);
void	story_body(struct text *, const struct subject *);

#endif
