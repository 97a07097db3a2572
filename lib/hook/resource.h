/* The resources that Sentry sends hooks about. A file each; what is said here
 * of one is all that the others know of it. */
#ifndef RESOURCE_H
#define RESOURCE_H

#include "hook/facts.h"

/* A row is a resource, resource_NAME.c or a neighbour's file. The order is that
 * in which a body is guessed; the last takes what no other wants. */
#define RESOURCE_LIST(row) \
	row(issue) row(error) row(event_alert) row(metric_alert) \
	row(comment) row(installation) row(activity_alert) row(seer) \
	row(preprod_artifact) row(size_analysis) row(other)

struct resource {
	const char	*name;		/* as Sentry-Hook-Resource says it */
	const char	*members[2];	/* of `data`: either makes it one ... */
	bool		 object;	/* ... as an object, else as a text */
	bool		 guessed;	/* from the body, where the header says
					 * something else */
	bool		 event;		/* tells of an event: its release is
					 * what its issue's hooks learn */
	bool		 learns;	/* takes that release */
	const char	*actions;	/* known ones; guessed by these alone
					 * where the header's name is new */
	const char	*source;	/* KIND of sourceId; NULL: the name */

	/* What the hook is about. */
	void		(*find)(struct facts *);

	/* Its own number, the second part of sourceId. */
	struct span	(*number)(const struct facts *);

	/* Appends what in the body tells this delivery from all others. False:
	 * there is nothing of the kind, nothing was appended. NULL: never. */
	bool		(*key)(struct text *, const struct facts *);

	/* When it happened. False: as when it was sent. NULL: always so. */
	bool		(*occurred)(struct timestamp *, const struct facts *);

	/* The title, the lines of the body, the members of metadata. */
	void		(*title)(struct text *, const struct facts *);
	void		(*body)(struct text *, const struct facts *);
	void		(*metadata)(struct text *, const struct facts *);
};

#define RESOURCE_DECLARE(name)	extern const struct resource resource_##name;
RESOURCE_LIST(RESOURCE_DECLARE)
#define RESOURCE_NUMBER(name)	RESOURCE_NUMBER_##name,
enum { RESOURCE_LIST(RESOURCE_NUMBER) RESOURCES };

/* All of them by number, 0 to RESOURCES - 1. */
const struct resource	*resource_at(unsigned);
unsigned		 resource_index(const struct resource *);

/* By its name; resource_other if it is not known. */
const struct resource	*resource_named(struct span);

/* The header's name where it is one ([A-Za-z0-9_.-], 1 to 64), else "". */
struct span		 resource_header(const struct hook *);

/* The resource that the body has the shape of: the header's where that fits,
 * else the body's own. *name is the name to keep ("" when nobody said one),
 * *mismatch says that a usable header was overruled. */
const struct resource	*resource_of(const struct hook *, struct json root,
			    struct span *name, bool *mismatch);

#endif
