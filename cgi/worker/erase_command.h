/* --erase-person, --erase-project: the plan, the question, the deed. */
#ifndef ERASE_COMMAND_H
#define ERASE_COMMAND_H

#include "worker/options.h"

/* Returns the exit status: 0 erased, 1 not. */
int	erase_command(const struct options *);

#endif
