/* Variables that look like settings of ours and are none: a slip. */
#ifndef ENVIRONMENT_H
#define ENVIRONMENT_H

/* Says each by its name, in the log; one file may hold the settings of all
 * our programs. */
void	environment_warn_unknown(void);

#endif
