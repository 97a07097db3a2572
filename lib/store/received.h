/* A verified hook and its observation, with all bytes that they refer to: on
 * the way from the request to the database or the spool. */
#ifndef RECEIVED_H
#define RECEIVED_H

#include "hook/observation.h"

/* The request that received it and the writer share it: each holds a reference.
 * Nobody changes it, with one exception: once it is in the commit queue, the
 * writer may replace the observation. Nobody else may read that before the
 * result is FAULT_NONE. */
struct received {
	struct hook		hook;
	struct observation	observation;
	struct text		headers;	/* bytes of hook's headers */
	struct text		key;		/* bytes of hook.dedupe_key */
	char			*body;		/* bytes of hook.body */
	int			refs;		/* atomic */
};

/* Makes one, with one reference; NULL without memory. Copies all that `hook`
 * refers to, except for `body`: that is hook->body in memory from malloc(), and
 * it is taken over, also when the result is NULL. Header values are not signed:
 * they are cut to 256 bytes, and each byte that is not printable ASCII becomes
 * '?'. With hook->redact the body is redacted (redact.h); of a body that cannot
 * be read only length and hash are kept. Its dedupe key is still that of the
 * bytes that were signed. Then the hook is observed (observation.h). */
struct received	*received_new(const struct hook *, char *body,
		    struct span observe_list);
/* Adds a reference; gives one back, and frees it with the last one. */
struct received	*received_hold(struct received *);
void		 received_drop(struct received *);

#endif
