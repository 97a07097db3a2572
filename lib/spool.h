/* The folder that takes what the database cannot: a file a hook. */
#ifndef SPOOL_H
#define SPOOL_H

#include "fault.h"
#include "receipt.h"

#define SPOOL_NAME_SIZE	64	/* bytes of a file's name, with its NUL */

/* Any thread may put, one at a time may bring in. */
struct spool;

/* The folder is made (mode 0700) and opened when it is first needed, and
 * again when somebody removed it. `path` outlives the spool. NULL without
 * memory. */
struct spool	*spool_open(const char *path);
void		 spool_close(struct spool *);

/* From now on hooks are redacted when they are brought in: those that were
 * spooled before, too. */
void		 spool_redact(struct spool *);

/* Whether the folder is there, and writable; when the last hook could not be
 * put there, by writing a file again. */
enum fault	spool_check(struct spool *) __attribute__((warn_unused_result));

/* Writes the hook into a file of its own. FAULT_NONE means that the file and
 * the folder are synced: the hook is on stable storage. */
enum fault	spool_put(struct spool *, const struct hook *)
		    __attribute__((warn_unused_result));

/* How many files wait, and how many were set aside as `.bad`. */
unsigned long	spool_waiting(const struct spool *);
unsigned long	spool_bad(const struct spool *);

/* Bringing in: the oldest file that was not yet taken in this round, with its
 * hook observed anew. *receipt is NULL when the round is over; the next call
 * begins a new one. A file that cannot be understood is set aside and passed
 * over. *name is what the next two want, until the next call. */
enum fault	spool_take(struct spool *, struct span observe_list,
		    struct receipt **receipt, const char **name)
		    __attribute__((warn_unused_result));
/* The round begins anew with the next take: what was taken is still here. */
void		spool_again(struct spool *);
void		spool_remove(struct spool *, const char *name);
void		spool_set_aside(struct spool *, const char *name);

#endif
