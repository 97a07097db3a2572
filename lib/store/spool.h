/* The spool: a folder that takes the hooks which the database cannot take now,
 * each in a file of its own. The writer imports them later (spool_import.h).
 *
 * A file that cannot be imported is *set aside*: it is renamed to
 * NAME.hook.bad, and not read again before spool_retry() renames it back. */
#ifndef SPOOL_H
#define SPOOL_H

#include "base/fault.h"
#include "hook/hook.h"

#define SPOOL_NAME_SIZE	96	/* bytes of a file's name, with its NUL */
#define SPOOL_HOOK	".hook"
#define SPOOL_BAD	".bad"		/* after that, once it is set aside */

/* Any thread may call any of these functions. */
struct spool;

/* NULL without memory. `path` outlives the spool. The folder is made (mode
 * 0700) and opened only when it is needed, and again when the path leads to
 * another folder, or to none. */
struct spool	*spool_open(const char *path);
void		 spool_close(struct spool *);

/* Whether a hook could be put there: whether the folder is there and writable,
 * on a disk with room. If the last hook could not be put there, this tries it
 * with another file. */
enum fault	spool_check(struct spool *) __attribute__((warn_unused_result));

/* Writes the hook into a file of its own (spool_file.h), whose name no other
 * process uses, on this host or another. FAULT_NONE: file and folder are
 * synced, the hook is on stable storage. */
enum fault	spool_put(struct spool *, const struct hook *)
		    __attribute__((warn_unused_result));

/* How many files are to be imported, of this and other processes; how many were
 * set aside. As of the last scan (spool_scan.h), and of what this process has
 * put and removed since. */
unsigned long	spool_depth(const struct spool *);
unsigned long	spool_bad(const struct spool *);

/* Gives all .bad files in the folder at `path` their old names back: the next
 * scan tries them again. *count: how many. FAULT_GONE: there is no folder. */
enum fault	spool_retry(const char *path, unsigned long *count)
		    __attribute__((warn_unused_result));

/* Appends to the text what is in the file `name` of the folder `dir`.
 * FAULT_GONE: it is not there; FAULT_REFUSED: it is no regular file, or longer
 * than any hook; FAULT_BUSY: the process has no descriptor left. */
enum fault	spool_read(int dir, const char *name, struct text *)
		    __attribute__((warn_unused_result));

/* ---- for spool_scan.c ---- */

/* Opens the folder if it is not open, or no longer the one at the path. *dir is
 * its descriptor, which stays the spool's. */
enum fault	spool_open_folder(struct spool *, int *dir)
		    __attribute__((warn_unused_result));

/* Notes how many files a scan has found. */
void		spool_set_counts(struct spool *, unsigned long depth,
		    unsigned long bad);

/* Notes that a file was removed from those to be imported; `bad`: because it
 * was set aside. */
void		spool_count_removed(struct spool *, bool bad);

/* Calls `each` for every name in the folder, until that returns a fault. */
enum fault	spool_each_name(int dir, enum fault (*each)(void *arg, int dir,
		    const char *name), void *arg)
		    __attribute__((warn_unused_result));

/* Renames, but does not replace another file. */
bool		spool_rename(int dir, const char *from, const char *to);

/* Whether the name ends with the suffix, and is not longer than ours. */
bool		spool_has_suffix(const char *name, const char *suffix);

#endif
