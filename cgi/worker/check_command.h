/* `--check`: what would be used, and whether it works. */
#ifndef CHECK_COMMAND_H
#define CHECK_COMMAND_H

#include "worker/options.h"

/* Prints a line for each part: what is used, and whether it works. Creates
 * nothing. Returns the exit status: 0 when the worker could serve, else 1. */
int	check_command(const struct options *);

#endif
