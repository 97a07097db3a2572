/* The folder that takes what the database cannot: a file a hook. */
#ifndef SPOOL_H
#define SPOOL_H

#include "base/fault.h"
#include "hook/hook.h"

#define SPOOL_NAME_SIZE	96	/* bytes of a file's name, with its NUL */
#define SPOOL_HOOK	".hook"
#define SPOOL_BAD	".bad"		/* behind that, once it is set aside */

/* Any thread may do anything of this. */
struct spool;

/* The folder is made (mode 0700) and opened when it is first needed, and
 * again when the path leads to another one, or to none. `path` outlives the
 * spool. NULL without memory. */
struct spool	*spool_open(const char *path);
void		 spool_close(struct spool *);

/* Whether the folder is there, and writable; when the last hook could not be
 * put there, by writing a file again. */
enum fault	spool_check(struct spool *) __attribute__((warn_unused_result));

/* Writes the hook into a file of its own, whose name no other process has,
 * here or elsewhere. FAULT_NONE means that the file and the folder are synced:
 * the hook is on stable storage. */
enum fault	spool_put(struct spool *, const struct hook *)
		    __attribute__((warn_unused_result));

/* How many files wait, whoever put them there; how many were set aside. As of
 * the last round (round.h), and of what was done here since. */
unsigned long	spool_waiting(const struct spool *);
unsigned long	spool_bad(const struct spool *);

/* Gives all .bad files in the folder at `path` their old names back: they are
 * tried again, by whoever brings in next. *count: how many. */
enum fault	spool_retry(const char *path, unsigned long *count)
		    __attribute__((warn_unused_result));

/* Appends the file `name` in the folder `dir`. FAULT_GONE: it is not there;
 * FAULT_REFUSED: it is no regular file, or longer than any hook; FAULT_BUSY: no
 * descriptor is left. It never waits for anybody. */
enum fault	spool_read(int dir, const char *name, struct text *)
		    __attribute__((warn_unused_result));

/* ---- for who brings in (round.h) ---- */

/* The folder's descriptor, of this moment. */
enum fault	spool_folder(struct spool *, int *dir)
		    __attribute__((warn_unused_result));
void		spool_counted(struct spool *, unsigned long waiting,
		    unsigned long bad);
void		spool_one_less(struct spool *, bool bad);

/* Calls `each` for every name in it, until that returns a fault. */
enum fault	spool_names(int dir, enum fault (*each)(void *arg, int dir,
		    const char *name), void *arg)
		    __attribute__((warn_unused_result));

/* Renames, but never in another file's place. */
bool		spool_rename(int dir, const char *from, const char *to);
bool		spool_is(const char *name, const char *suffix);

#endif
