#include "flight.h"

#include <assert.h>

static size_t
bucket_of(int64_t id)
{
	return (size_t)id % FLIGHT_BUCKETS;
}

void
flight_add(struct flight *f, struct row *r)
{
	struct row **bucket = &f->bucket[bucket_of(r->id)];

	r->hash_next = *bucket;
	*bucket = r;
	f->count++;
}

void
flight_drop(struct flight *f, struct row *r)
{
	struct row **p = &f->bucket[bucket_of(r->id)];

	for (; *p != r; p = &(*p)->hash_next)
		assert(*p != NULL);
	*p = r->hash_next;
	f->count--;
}

bool
flight_has(const struct flight *f, int64_t id)
{
	const struct row *r = f->bucket[bucket_of(id)];

	while (r != NULL && r->id != id)
		r = r->hash_next;
	return r != NULL;
}
