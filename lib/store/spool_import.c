#include "store/spool_import.h"

#include <stdlib.h>

#include "base/clock.h"
#include "store/commit_queue.h"
#include "store/spool_scan.h"

#define BATCH		64	/* hooks in a transaction */
#define BATCH_BYTES	1048576	/* of their bodies, or a single one */
#define LOOK_MS		5000	/* between looks for what others left */
#define REST_MS		1000	/* after a look that brought nothing in */

struct spool_import {
	struct spool	*spool;
	struct spool_scan	*round;
	void		(*aside)(void *arg, enum fault, const char *name);
	void		*arg;
	struct {
		struct received	*received;
		char		 name[SPOOL_NAME_SIZE];
	}		 taken[BATCH];
	unsigned	 count;
	bool		 over;		/* the round */
	int64_t		 look_at, rest_until;	/* ms, clock_ms() */
	char		 refused[SPOOL_NAME_SIZE];	/* once */
};

struct spool_import *
spool_import_open(struct spool *s, struct span observe_list, bool redact,
    void (*aside)(void *, enum fault, const char *), void *arg)
{
	struct spool_import *b = calloc(1, sizeof(*b));

	if (b == NULL)
		return NULL;
	b->spool = s;
	b->aside = aside;
	b->arg = arg;
	if ((b->round = spool_scan_open(s, observe_list, redact)) == NULL) {
		free(b);
		return NULL;
	}
	return b;
}

void
spool_import_close(struct spool_import *b)
{
	if (b != NULL)
		spool_scan_close(b->round);
	free(b);
}

bool
spool_import_due(const struct spool_import *b)
{
	int64_t now = clock_ms();

	return now >= b->rest_until && (!b->over || now >= b->look_at ||
	    spool_waiting(b->spool) > 0);
}

static void
set_aside(struct spool_import *b, const char *name, enum fault f)
{
	if (spool_scan_set_aside(b->round, name))
		b->aside(b->arg, f, name);
}

/* Reads the next files, with no lock held. */
static enum fault
take(struct spool_import *b)
{
	size_t bytes = 0;
	struct received *r;
	const char *name;
	enum fault f = FAULT_NONE;

	b->over = false;
	while (b->count < BATCH && bytes < BATCH_BYTES && !b->over) {
		f = spool_scan_next(b->round, &r, &name);
		if (f != FAULT_NONE && name == NULL)
			break;
		if (f != FAULT_NONE) {
			set_aside(b, name, f);
		} else if (r == NULL) {
			b->over = true;
		} else {
			bytes += r->hook.body.len;
			b->taken[b->count].received = r;
			memcpy(b->taken[b->count++].name, name,
			    SPOOL_NAME_SIZE);
		}
	}
	/* A folder that cannot be read is no fault of the database. */
	return f == FAULT_MEMORY ? f : FAULT_NONE;
}

/* *which: the hook that could not be stored, if one could not. */
static enum fault
store(struct spool_import *b, struct db *d, unsigned *which)
{
	enum fault f = db_begin(d);
	struct stored stored;

	if (f != FAULT_NONE)
		return *which = 0, f;
	for (*which = 0; f == FAULT_NONE && *which < b->count; ++*which) {
		struct received *r = b->taken[*which].received;

		f = store_put(d, &r->hook, &r->observation, FROM_SPOOL,
		    &stored);
		if (f != FAULT_NONE)
			break;
	}
	return db_end(d, f);
}

/* Without memory json_valid() says no, and a CHECK fails: the second time it
 * is the hook. */
static void
refused(struct spool_import *b, const char *name)
{
	if (strcmp(b->refused, name) != 0)
		memcpy(b->refused, name, SPOOL_NAME_SIZE);
	else
		set_aside(b, name, FAULT_REFUSED);
}

static enum fault
keep(struct spool_import *b, struct db *d, unsigned *count)
{
	unsigned which;
	enum fault f = store(b, d, &which);

	if (f == FAULT_NONE) {
		for (unsigned i = 0; i < b->count; i++)
			if (spool_scan_remove(b->round, b->taken[i].name))
				b->aside(b->arg, FAULT_DENIED,
				    b->taken[i].name);
		*count = b->count;
		return f;
	}
	spool_scan_restart(b->round);
	b->over = false;
	if (f != FAULT_REFUSED || which == b->count)
		return f;
	refused(b, b->taken[which].name);
	return FAULT_NONE;
}

enum fault
spool_import_next(struct spool_import *b, struct db *d, unsigned *count)
{
	enum fault f = take(b);

	*count = 0;
	if (f == FAULT_NONE && b->count > 0)
		f = keep(b, d, count);
	else if (f == FAULT_NONE)
		b->rest_until = clock_ms() + REST_MS;
	if (b->over)
		b->look_at = clock_ms() + LOOK_MS;
	while (b->count > 0)
		received_drop(b->taken[--b->count].received);
	return f;
}
