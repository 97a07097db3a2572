/* The rows that are on their way: nobody sends them twice. */
#ifndef FLIGHT_H
#define FLIGHT_H

#include "sink.h"

#define FLIGHT_BUCKETS	4096

/* Start from { 0 }. */
struct flight {
	struct row	*bucket[FLIGHT_BUCKETS];
	unsigned	 count;
};

void	flight_add(struct flight *, struct row *);
void	flight_drop(struct flight *, struct row *);
bool	flight_has(const struct flight *, int64_t id);

#endif
