/* What GET .../ready and GET .../metrics say. */
#ifndef STATUS_H
#define STATUS_H

#include "store/store.h"
#include "worker/service.h"

/* Whether the writer is not hanging in a call; `service` is a struct service.
 * Both /ready and the service manager's watchdog go by this. */
bool	status_alive(void *service);

/* Appends as JSON whether each part works, and the backlog. True: all do. */
bool	status_ready(struct service *, struct text *);

/* Appends the metrics in Prometheus' text format. */
void	status_metrics(struct service *, struct text *);

/* Counts the backlog over a connection of its own, which never writes; `why`
 * says in a line what is wrong with the database. */
enum fault	status_count_backlog(const char *db, struct backlog *,
		    char why[DB_WHY]);

#endif
