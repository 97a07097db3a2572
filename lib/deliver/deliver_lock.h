/* One deliverer a database: a lock on a file beside it, held until the process
 * ends. */
#ifndef ONLY_H
#define ONLY_H

enum only {
	ONLY_US,
	ONLY_ANOTHER,		/* it has the database */
	ONLY_FAILED
};

/* Unless it is ONLY_US, `why` says in a line what is in the way. */
#define ONLY_WHY	512
enum only	only_take(const char *db, char why[ONLY_WHY]);

#endif
