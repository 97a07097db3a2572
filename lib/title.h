/* A hook in a line for people: the observation's title. */
#ifndef TITLE_H
#define TITLE_H

#include "subject.h"

#define TITLE_MAX	1000	/* code points */

/* Appends the title to an empty text and cuts it to its limit. The forms for
 * issues are the plan's, to the byte; the others follow them. */
void		title_of(struct text *, const struct subject *);

/* What the title says, without its lead: of a metric alert, and the best that
 * any other hook holds. { NULL, 0 } without any. */
struct span	title_of_metric(const struct subject *);
struct span	title_best(const struct subject *);

#endif
