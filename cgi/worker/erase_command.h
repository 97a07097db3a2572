/* --erase-person, --erase-project: the plan, the question, the deed. */
#ifndef FORGET_H
#define FORGET_H

#include "worker/options.h"

/* Returns the exit status: 0 erased, 1 not. */
int	forget(const struct options *);

#endif
