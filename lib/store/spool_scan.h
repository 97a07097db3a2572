/* Bringing in what the spool holds: round after round, oldest first. */
#ifndef SPOOL_SCAN_H
#define SPOOL_SCAN_H

#include "store/received.h"
#include "store/spool.h"

/* One thread at a time. */
struct spool_scan;

/* NULL without memory. `redact`: hooks that were spooled without are redacted
 * now. The spool and the list (hook.h) outlive it. */
struct spool_scan *spool_scan_open(
    struct spool *, struct span observe_list, bool redact);
void		 spool_scan_close(struct spool_scan *);

/* The oldest file that was not yet taken in this round, with its hook observed
 * anew. *receipt is NULL when the round is over; the next call begins a new
 * one. On a fault *name is the file that could not be taken (FAULT_REFUSED: it
 * is no hook, or longer than any), to be set aside, and the next call goes on;
 * or NULL: it was not the file's. *name is what the next two want, until the
 * next call. */
enum fault spool_scan_next(struct spool_scan *, struct received **received,
    const char **name) __attribute__((warn_unused_result));

/* The round begins anew with the next take: what was taken is still here. */
void		 spool_scan_restart(struct spool_scan *);

/* Removes a file that was brought in; or renames it to NAME.bad. Where that
 * cannot be done it is passed over for a minute, and counts as set aside. True
 * when that (or the new name) is to be said: once for each file. */
bool		 spool_scan_remove(struct spool_scan *, const char *name);
bool		 spool_scan_set_aside(struct spool_scan *, const char *name);

#endif
