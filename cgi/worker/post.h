/* The way of a hook, from its POST to its answer. */
#ifndef POST_H
#define POST_H

#include "worker/answer.h"
#include "worker/service.h"

/* Takes `count` hooks, REQUESTS_MOST at most, that came together, all the way:
 * ANSWER_RECEIVED and ANSWER_UNREADABLE are given only to those that are on
 * stable storage. Counts and logs each. */
void	post_hooks(struct service *, const struct request *const *,
	    enum answer *, unsigned count);

#endif
