/* The schema's version: whose a database is, and how an old one gets new. */
#ifndef MIGRATE_H
#define MIGRATE_H

#include <stddef.h>
#include <stdint.h>

#include <sqlite3.h>

#include "base/fault.h"

#define MIGRATE_VERSION	1	/* the newest */

/* Reads *version, 0 of an empty file. FAULT_FOREIGN when it is another
 * program's, FAULT_NEWER when it is from after us: `why`, of `size` bytes, then
 * says so in a line. */
enum fault	migrate_check(sqlite3 *, int64_t *version, char *why,
		    size_t size) __attribute__((warn_unused_result));

/* Brings it to MIGRATE_VERSION, in one transaction. `why` is empty before. */
enum fault	migrate(sqlite3 *, char *why, size_t size)
		    __attribute__((warn_unused_result));

#endif
