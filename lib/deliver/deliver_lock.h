/* One deliverer a database: a lock on the file DATABASE-deliver. The process
 * holds it until it ends. */
#ifndef DELIVER_LOCK_H
#define DELIVER_LOCK_H

#define DELIVER_LOCK_WHY	512	/* bytes of a reason, with its NUL */

enum deliver_lock {
	DELIVER_LOCK_OURS,
	DELIVER_LOCK_ANOTHERS,		/* another process holds it */
	DELIVER_LOCK_FAILED
};

/* Does not wait. Unless the result is DELIVER_LOCK_OURS, `why` has the
 * reason. */
enum deliver_lock	deliver_lock_take(const char *db,
			    char why[DELIVER_LOCK_WHY]);

#endif
