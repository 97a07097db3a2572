/* From the spool into the database: some hooks a transaction. */
#ifndef BRINGIN_H
#define BRINGIN_H

#include "store/spool.h"
#include "store/store.h"

/* One thread at a time. */
struct bringin;

/* NULL without memory. `redact`: hooks that were spooled without are redacted
 * now. `aside` hears of each file, once, that is set aside, or can be neither
 * that nor removed. The spool and the list (hook.h) outlive it. */
struct bringin	*bringin_open(struct spool *, struct span observe_list,
		    bool redact, void (*aside)(void *arg, enum fault,
		    const char *name), void *arg);
void		 bringin_close(struct bringin *);

/* When files are known to wait, and now and then because another process may
 * have left some. */
bool		 bringin_due(const struct bringin *);

/* Stores the next ones, and then removes them. *count: how many. A fault is
 * the database's, and all are still there; a hook that it refuses is set
 * aside. */
enum fault	 bringin_next(struct bringin *, struct db *, unsigned *count)
		    __attribute__((warn_unused_result));

#endif
