/* From the spool into the database: some hooks a transaction. */
#ifndef SPOOL_IMPORT_H
#define SPOOL_IMPORT_H

#include "store/spool.h"
#include "store/store.h"

/* One thread at a time. */
struct spool_import;

/* NULL without memory. `redact`: hooks that were spooled without are redacted
 * now. `aside` hears of each file, once, that is set aside, or can be neither
 * that nor removed. The spool and the list (hook.h) outlive it. */
struct spool_import *spool_import_open(struct spool *, struct span observe_list,
    bool redact, void (*aside)(void *arg, enum fault, const char *name),
    void *arg);
void		 spool_import_close(struct spool_import *);

/* When files are known to wait, and now and then because another process may
 * have left some. */
bool		 spool_import_due(const struct spool_import *);

/* Stores the next ones, and then removes them. *count: how many. A fault is
 * the database's, and all are still there; a hook that it refuses is set
 * aside. */
enum fault spool_import_next(struct spool_import *, struct db *,
    unsigned *count) __attribute__((warn_unused_result));

#endif
