/* Event ids of rows that were sent again as new: ID, ID-r2, ID-r3. */
#ifndef EVENT_ID_H
#define EVENT_ID_H

#include "base/text.h"

/* The number N of an id ID-rN, 1 of any other. *base is the id without it. */
unsigned long	event_id_number(struct span id, struct span *base);

/* Appends the id of the next replay. */
void		event_id_next(struct text *, struct span id);

#endif
