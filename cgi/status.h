/* What an operator asks: does it work, and how much has it done. */
#ifndef STATUS_H
#define STATUS_H

#include "answer.h"

/* At the start of the process, which the metrics name. */
void	status_start(void);

/* Appends the parts and the backlog as JSON; true if every part works. */
bool	status_ready(struct service *, struct text *);

/* Appends the metrics in Prometheus' text format. */
void	status_metrics(struct service *, struct text *);

#endif
