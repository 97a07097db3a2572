/* --erase-person, --erase-project: prints what would be erased, asks, and
 * erases it. */
#ifndef ERASE_COMMAND_H
#define ERASE_COMMAND_H

#include "worker/options.h"

/* Returns the exit status: 0 erased, 1 not. */
int	erase_command(const struct options *);

#endif
