/* Environment variables that look like a setting of ours and are none: their
 * name has been misspelled, or the setting is an option only. */
#ifndef ENVIRONMENT_H
#define ENVIRONMENT_H

/* Logs a warning for each such variable. The settings of all our programs are
 * known, for one file may hold them all. */
void	environment_warn_unknown(void);

#endif
