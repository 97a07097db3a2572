/* --reprocess: the plan, the question, the work with a bar. */
#ifndef REPROCESS_COMMAND_H
#define REPROCESS_COMMAND_H

#include "worker/options.h"

/* Returns the exit status: 0 done, or nothing is to be done; 1 not done, cut
 * short, or no hook is selected. */
int	reprocess_command(const struct options *);

#endif
