/* Importing the spool: from its files into the database, some hooks in each
 * transaction. spool_scan.h finds and reads the files. */
#ifndef SPOOL_IMPORT_H
#define SPOOL_IMPORT_H

#include "store/spool.h"
#include "store/store.h"

/* One thread at a time. */
struct spool_import;

/* NULL without memory. `redact`: hooks that are not redacted yet are redacted
 * now. `on_set_aside` is called, once, for each file that is set aside, and for
 * each that can be neither removed nor set aside; `on_differs` for each hook
 * that was in the database already, with another body. The spool and the list
 * (observe_list.h) outlive it. */
struct spool_import *spool_import_open(struct spool *, struct span observe_list,
		    bool redact, void (*on_set_aside)(void *arg, enum fault,
		    const char *name), void (*on_differs)(void *arg,
		    const struct observation *), void *arg);
void		 spool_import_close(struct spool_import *);

/* Whether spool_import_next() should be called: files are known to be there, or
 * it is time to look for those that another process may have left. */
bool		 spool_import_due(const struct spool_import *);

/* Stores the next hooks in a transaction of its own, then removes their files.
 * *count: how many. A hook that the database refuses is set aside. A fault is
 * the database's: then nothing was stored, and all files are still there. */
enum fault	 spool_import_next(struct spool_import *, struct db *,
		    unsigned *count) __attribute__((warn_unused_result));

#endif
