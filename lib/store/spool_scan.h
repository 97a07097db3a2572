/* Bringing in what the spool holds: round after round, oldest first. */
#ifndef ROUND_H
#define ROUND_H

#include "store/received.h"
#include "store/spool.h"

/* One thread at a time. */
struct round;

/* NULL without memory. `redact`: hooks that were spooled without are redacted
 * now. The spool and the list (hook.h) outlive it. */
struct round	*round_open(struct spool *, struct span observe_list,
		    bool redact);
void		 round_close(struct round *);

/* The oldest file that was not yet taken in this round, with its hook observed
 * anew. *receipt is NULL when the round is over; the next call begins a new
 * one. On a fault *name is the file that could not be taken (FAULT_REFUSED: it
 * is no hook, or longer than any), to be set aside, and the next call goes on;
 * or NULL: it was not the file's. *name is what the next two want, until the
 * next call. */
enum fault	 round_take(struct round *, struct receipt **receipt,
		    const char **name) __attribute__((warn_unused_result));

/* The round begins anew with the next take: what was taken is still here. */
void		 round_again(struct round *);

/* Removes a file that was brought in; or renames it to NAME.bad. Where that
 * cannot be done it is passed over for a minute, and counts as set aside. True
 * when that (or the new name) is to be said: once for each file. */
bool		 round_remove(struct round *, const char *name);
bool		 round_set_aside(struct round *, const char *name);

#endif
