/* A verified hook with its observation, owned, on its way to a disk. */
#ifndef RECEIVED_H
#define RECEIVED_H

#include "hook/observation.h"

/* Shared by the request that received it and the writer that keeps it: each
 * holds a reference, and neither changes it while the other can look, but for
 * the observation, which belongs to whoever stores it. */
struct received {
	struct hook		hook;
	struct observation	observation;
	struct text		headers;	/* what hook's spans lead to */
	struct text		key;		/* hook.dedupe_key */
	char			*body;		/* hook.body */
	int			 refs;		/* atomic */
};

/* Copies what hook holds, but takes over `body` (malloc'd, hook.body's bytes)
 * in any case. Header values are cut to 256 bytes and what is not printable
 * ASCII becomes '?': they are not signed. Redacts the body if the hook says so
 * (redact.h), and what cannot be read then leaves but its length and hash; it
 * is the same delivery, by the same key, as without. Then observes. NULL
 * without memory. One reference. */
struct received	*received_new(const struct hook *, char *body,
		    struct span observe_list);
struct received	*received_hold(struct received *);
void		 received_drop(struct received *);

#endif
