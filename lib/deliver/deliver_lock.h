/* One deliverer a database: a lock on a file beside it, held until the process
 * ends. */
#ifndef DELIVER_LOCK_H
#define DELIVER_LOCK_H

enum deliver_lock {
	DELIVER_LOCK_OURS,
	DELIVER_LOCK_ANOTHERS,		/* it has the database */
	DELIVER_LOCK_FAILED
};

/* Unless it is DELIVER_LOCK_OURS, `why` says in a line what is in the way. */
#define DELIVER_LOCK_WHY	512
enum deliver_lock deliver_lock_take(const char *db, char why[DELIVER_LOCK_WHY]);

#endif
