/* Rows out of the queue, to the sink, and back with their fate. */
#ifndef DELIVER_ROWS_H
#define DELIVER_ROWS_H

#include "deliver/deliver_state.h"

#define DELIVER_ROWS_WRITE_MS	50	/* a fate waits for others */

/* Reads rows that are due and gives them to the sink: as many as it takes, and
 * as the limits of in_flight.h allow. Reads nothing while delivery pauses. */
void	deliver_rows_send(struct deliver *, struct queue_reader *);

/* Lets the sink work for up to `ms`, and takes the rows that it returns. When
 * none of them was answered by the server, delivery pauses. */
void	deliver_rows_receive(struct deliver *, int ms);

/* Writes fates to the database, up to 1,000 in one transaction: when there are
 * so many, when the first has waited for DELIVER_ROWS_WRITE_MS, or when `now`.
 * Only then the rows are no longer in flight: after a fault they are not sent
 * again; their fates are written later. */
void	deliver_rows_write(struct deliver *, bool now);

#endif
