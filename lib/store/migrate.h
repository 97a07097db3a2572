/* Whose database it is (application_id), which version its schema has
 * (user_version), and the steps from an old version to the newest. */
#ifndef MIGRATE_H
#define MIGRATE_H

#include <stddef.h>
#include <stdint.h>

#include <sqlite3.h>

#include "base/fault.h"

#define MIGRATE_VERSION	1	/* the newest version of the schema */

/* Reads *version, which is 0 of an empty file. FAULT_FOREIGN: it is another
 * program's database; FAULT_NEWER: a newer version of this program wrote it.
 * `why`, of `size` bytes, then says so in a line. */
enum fault	migrate_check(sqlite3 *, int64_t *version, char *why,
		    size_t size) __attribute__((warn_unused_result));

/* Brings the schema to MIGRATE_VERSION, in one transaction. `why`, of `size`
 * bytes, has to be empty; on a fault it is the reason, where one is known. */
enum fault	migrate(sqlite3 *, char *why, size_t size)
		    __attribute__((warn_unused_result));

#endif
