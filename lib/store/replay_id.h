/* The event ids of a row that is sent again under a new one: ID, ID-r2, ID-r3
 * and so on. The first one, ID, is made in hook/observation.c, from the bytes
 * that hook/dedupe_key.c chooses. */
#ifndef REPLAY_ID_H
#define REPLAY_ID_H

#include "base/text.h"

/* The number N of an id ID-rN, 1 of any other. *base is the id without it. */
unsigned long	replay_id_number(struct span id, struct span *base);

/* Appends the id that follows `id`: ID-r2 after ID, ID-r3 after ID-r2. */
void		replay_id_next(struct text *, struct span id);

#endif
