/* Scanning the spool: its files in the order of receipt. A scan reads all names
 * once, then gives one file after the other; the next scan finds what has come
 * in the meantime.
 *
 * A file is *stuck* when it can be neither removed nor renamed. It is passed
 * over for a minute, and counts as set aside. */
#ifndef SPOOL_SCAN_H
#define SPOOL_SCAN_H

#include "store/received.h"
#include "store/spool.h"

/* One thread at a time. */
struct spool_scan;

/* NULL without memory. `redact`: hooks that are not redacted yet are redacted
 * now. The spool and the list (observe_list.h) outlive it. */
struct spool_scan *spool_scan_open(struct spool *, struct span observe_list,
		    bool redact);
void		 spool_scan_close(struct spool_scan *);

/* Gives the hook of the oldest file that this scan has not given yet, observed
 * anew. *received is NULL when the scan has ended; the next call begins one.
 * On a fault, *name is the file that cannot be read, which the caller has to
 * set aside (FAULT_REFUSED: it is no hook, or too long), and the next call goes
 * on behind it. *name is NULL when the fault is not one file's. *name lasts
 * until the next call. */
enum fault	 spool_scan_next(struct spool_scan *,
		    struct received **received, const char **name)
		    __attribute__((warn_unused_result));

/* Makes the next call of spool_scan_next() begin a scan: it gives again all
 * files that were not removed. */
void		 spool_scan_restart(struct spool_scan *);

/* Whether it is a temporary file that was left behind: the process that wrote
 * it has died, or it would be renamed by now. */
bool		 spool_scan_is_stale(int dir, const char *name);

/* Removes a file whose hook was imported; sets a file aside (spool.h). True:
 * the file was set aside or is stuck, and that was not yet reported. */
bool		 spool_scan_remove(struct spool_scan *, const char *name);
bool		 spool_scan_set_aside(struct spool_scan *, const char *name);

#endif
