/* `--check`: what would be used, and whether it works. */
#ifndef CHECK_H
#define CHECK_H

#include "worker/options.h"

/* Says it in a few lines on standard output; creates nothing that is not
 * there yet. Exit status: 0 when the worker could serve, else 1. */
int	check(const struct options *);

#endif
