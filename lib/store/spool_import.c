/* spool_import_next() takes these steps. A hook that is in the database and in
 * the spool at once, after a crash between steps 2 and 3, is recognised by
 * store_put().
 *
 *   1. read_batch()	reads the next files, with no lock held; sets aside
 *			those that are no hooks
 *   2. store_batch()	stores the hooks and commits, in one transaction
 *   3. remove_batch()	removes the files, and reports differing duplicates
 *
 * If step 2 fails, the files are read again from the oldest on. */
#include "store/spool_import.h"

#include <stdlib.h>

#include "base/clock.h"
#include "store/spool_scan.h"

#define IMPORT_ROWS_MAX		64	/* hooks in a transaction */
#define IMPORT_BYTES_MAX	1048576	/* of bodies; one may go beyond */
#define IMPORT_LOOK_MS		5000	/* between looks for others' files */
#define IMPORT_REST_MS		1000	/* after an empty batch */

struct spool_import {
	struct spool	*spool;
	struct spool_scan *scan;
	void		(*on_set_aside)(void *arg, enum fault,
			    const char *name);
	void		(*on_differs)(void *arg, const struct observation *);
	void		*arg;		/* the first argument of both */
	struct {
		struct received	*received;
		struct stored	 stored;	/* since step 2 */
		char		 name[SPOOL_NAME_SIZE];
	}		 batch[IMPORT_ROWS_MAX];
	unsigned	 count;		/* in the batch */
	bool		 scan_ended;	/* no further files were found */
	int64_t		 look_at;	/* next look once it has; ms,
					 * clock_ms() */
	int64_t		 rest_until;	/* ms, clock_ms() */
	char		 refused[SPOOL_NAME_SIZE];	/* once so far */
};

struct spool_import *
spool_import_open(struct spool *s, struct span observe_list, bool redact,
    void (*on_set_aside)(void *, enum fault, const char *),
    void (*on_differs)(void *, const struct observation *), void *arg)
{
	struct spool_import *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return NULL;
	m->spool = s;
	m->on_set_aside = on_set_aside;
	m->on_differs = on_differs;
	m->arg = arg;
	if ((m->scan = spool_scan_open(s, observe_list, redact)) == NULL) {
		free(m);
		return NULL;
	}
	return m;
}

void
spool_import_close(struct spool_import *m)
{
	if (m != NULL)
		spool_scan_close(m->scan);
	free(m);
}

bool
spool_import_due(const struct spool_import *m)
{
	int64_t now = clock_ms();

	return now >= m->rest_until && (!m->scan_ended || now >= m->look_at ||
	    spool_depth(m->spool) > 0);
}

static void
set_file_aside(struct spool_import *m, const char *name, enum fault f)
{
	if (spool_scan_set_aside(m->scan, name))
		m->on_set_aside(m->arg, f, name);
}

static void
read_batch(struct spool_import *m)
{
	size_t bytes = 0;
	struct received *r;
	const char *name;
	enum fault f;

	m->scan_ended = false;
	while (m->count < IMPORT_ROWS_MAX && bytes < IMPORT_BYTES_MAX &&
	    !m->scan_ended) {
		f = spool_scan_next(m->scan, &r, &name);
		if (f != FAULT_NONE && name == NULL)
			break;
		if (f != FAULT_NONE) {
			set_file_aside(m, name, f);
		} else if (r == NULL) {
			m->scan_ended = true;
		} else {
			bytes += r->hook.body.len;
			m->batch[m->count].received = r;
			memcpy(m->batch[m->count++].name, name,
			    SPOOL_NAME_SIZE);
		}
	}
	/* A folder that cannot be read, or too little memory for a file, is no
	 * fault of the database: what was not read is read later. */
}

/* *stored: how many were, before a fault; then the next one is at fault. */
static enum fault
store_batch(struct spool_import *m, struct db *d, unsigned *stored)
{
	enum fault f = db_begin(d);

	*stored = 0;
	if (f != FAULT_NONE)
		return f;
	while (f == FAULT_NONE && *stored < m->count) {
		struct received *r = m->batch[*stored].received;

		f = store_put(d, &r->hook, &r->observation, FROM_SPOOL,
		    &m->batch[*stored].stored);
		*stored += f == FAULT_NONE;
	}
	return db_end(d, f);
}

static void
remove_batch(struct spool_import *m)
{
	for (unsigned i = 0; i < m->count; i++) {
		if (m->batch[i].stored.differs)
			m->on_differs(m->arg,
			    &m->batch[i].received->observation);
		if (spool_scan_remove(m->scan, m->batch[i].name))
			m->on_set_aside(m->arg, FAULT_DENIED,
			    m->batch[i].name);
	}
}

/* Without memory SQLite's json_valid() returns 0, and a CHECK fails. So a hook
 * may be refused once without being wrong; the second time it is set aside. */
static void
note_refused(struct spool_import *m, const char *name)
{
	if (strcmp(m->refused, name) != 0)
		memcpy(m->refused, name, SPOOL_NAME_SIZE);
	else
		set_file_aside(m, name, FAULT_REFUSED);
}

/* Steps 2 and 3. */
static enum fault
import_batch(struct spool_import *m, struct db *d, unsigned *count)
{
	unsigned stored;
	enum fault f = store_batch(m, d, &stored);

	if (f == FAULT_NONE) {
		remove_batch(m);
		*count = m->count;
		return f;
	}
	spool_scan_restart(m->scan);
	m->scan_ended = false;
	if (f != FAULT_REFUSED || stored == m->count)
		return f;
	note_refused(m, m->batch[stored].name);
	return FAULT_NONE;
}

enum fault
spool_import_next(struct spool_import *m, struct db *d, unsigned *count)
{
	enum fault f = FAULT_NONE;

	*count = 0;
	read_batch(m);
	if (m->count > 0)
		f = import_batch(m, d, count);
	else
		m->rest_until = clock_ms() + IMPORT_REST_MS;
	if (m->scan_ended)
		m->look_at = clock_ms() + IMPORT_LOOK_MS;
	while (m->count > 0)
		received_drop(m->batch[--m->count].received);
	return f;
}
