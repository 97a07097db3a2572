/* What the three files behind db.h share: db.c, db_statement.c and db_wal.c.
 * Nobody else may include this. */
#ifndef DB_PRIVATE_H
#define DB_PRIVATE_H

#include <limits.h>

#include <sqlite3.h>

#include "store/checkpoint.h"
#include "store/db.h"
#include "store/db_files.h"

struct db {
	sqlite3		*db;		/* the connection that reads, writes */
	struct checkpoint checkpoint;	/* the second one; none for DB_READ */
	sqlite3		*error_from;	/* the one that db_why() asks */
	sqlite3_stmt	*stmt[DB_STATEMENTS_MAX];
	enum db_mode	 mode;
	int64_t		 page_bytes;
	int		 busy_ms;	/* longest wait for one lock */
	int64_t		 busy_until;	/* end of this wait; ms, clock_ms() */
	struct db_files	 files;		/* as they were when they were opened */
	int64_t		 bytes;		/* the file's, when all of the log was
					 * last moved into it */
	char		 path[PATH_MAX];
};

/* Sleeps until it is worth trying again to get a lock. */
void		db_wait_for_lock(void);

/* Begins a transaction as db_begin() does, but without looking whether the
 * files are still the same: for files that are known to be gone. */
enum fault	db_begin_unchecked(struct db *)
		    __attribute__((warn_unused_result));

#endif
