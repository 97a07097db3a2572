/* The resources that Sentry sends hooks about, a file each. The members of
 * struct resource are all that the other files know of one. */
#ifndef RESOURCE_H
#define RESOURCE_H

#include "hook/facts.h"

/* A row is a resource. It is in resource_NAME.c; error and event_alert share
 * resource_event.c, size_analysis is in resource_preprod_artifact.c. A body's
 * resource is guessed in this order; the last row fits every body. */
#define RESOURCE_LIST(row) \
	row(issue) row(error) row(event_alert) row(metric_alert) \
	row(comment) row(installation) row(activity_alert) row(seer) \
	row(preprod_artifact) row(size_analysis) row(other)

struct resource {
	const char	*name;		/* as Sentry-Hook-Resource says it */
	const char	*members[2];	/* of `data`: either makes it one ... */
	bool		 object;	/* ... as an object, else as a text */
	bool		 guessed;	/* from the body, where the header is
					 * missing or does not fit */
	bool		 is_event;	/* about an event; its release becomes
					 * known of its issue */
	bool		 needs_release;	/* takes the release known of the
					 * issue, if the hook names none */
	const char	*actions;	/* known ones; a header with an unknown
					 * name is overruled only by these */
	const char	*source;	/* KIND of sourceId; NULL: the name */

	/* Fills in the facts of a hook. */
	void		(*find)(struct facts *);

	/* The number of what the hook is about: the second part of
	 * sourceId. */
	struct span	(*number)(const struct facts *);

	/* Appends the part of the body that tells this delivery from all
	 * others. False, and nothing is appended, if this body has no such
	 * part; NULL if none has. */
	bool		(*key)(struct text *, const struct facts *);

	/* When it happened. False if this body does not say; NULL if none
	 * does: then it happened when it was sent (facts_sent()). */
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

/* The resource of this name; resource_other if there is none. */
const struct resource	*resource_named(struct span);

/* The name in the hook's header if it can be one ([A-Za-z0-9_.-], 1 to 64
 * bytes), else "". */
struct span		 resource_header(const struct hook *);

/* The resource of a hook: the header's if the body has its shape, else the one
 * whose shape the body has. *name becomes the name to store ("" if there is
 * none); *mismatch says whether the body overruled a usable header. */
const struct resource	*resource_of(const struct hook *, struct json root,
			    struct span *name, bool *mismatch);

#endif
