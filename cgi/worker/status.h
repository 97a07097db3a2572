/* What an operator asks: does it work, and how much has it done. */
#ifndef STATUS_H
#define STATUS_H

#include "worker/answer.h"

/* At the start of the process, which the metrics name. */
void	status_start(void);

/* Whether the writer moves, or waits for work: of a `struct service`. What is
 * said by /ready and to the service manager's watchdog begins here. */
bool	status_moves(void *service);

/* Appends the parts and the backlog as JSON; true if every part works. */
bool	status_ready(struct service *, struct text *);

/* Appends the metrics in Prometheus' text format. */
void	status_metrics(struct service *, struct text *);

#endif
