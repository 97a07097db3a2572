/* What a request is: which resource, whether it is observed, and by which key
 * the same delivery is known again. */
#ifndef HOOK_H
#define HOOK_H

#include <stdint.h>

#include "json.h"

/* A request that carried a right signature. Only the body is signed: nothing
 * else here may be trusted, and any of it may be absent. */
struct hook {
	int64_t		received_at;	/* ms since 1970 */
	struct span	resource;	/* Sentry-Hook-Resource */
	struct span	timestamp;	/* Sentry-Hook-Timestamp, seconds */
	struct span	request_id;
	struct span	idempotency_key;
	struct span	signature;	/* the header, 64 hex digits */
	struct span	secret_name;
	struct span	body;
	/* Of a body that was redacted, the key that it had before. */
	struct span	dedupe_key;
	bool		redact;		/* keep it without personal data */
};

enum resource {
	RESOURCE_ISSUE,
	RESOURCE_ERROR,
	RESOURCE_EVENT_ALERT,
	RESOURCE_METRIC_ALERT,
	RESOURCE_COMMENT,
	RESOURCE_INSTALLATION,
	RESOURCE_ACTIVITY_ALERT,
	RESOURCE_SEER,
	RESOURCE_PREPROD_ARTIFACT,
	RESOURCE_OTHER		/* a name that we do not know, or none */
};
#define RESOURCES	(RESOURCE_OTHER + 1)

/* By their names; that of RESOURCE_OTHER is "other". */
enum resource	hook_resource_named(struct span);
const char	*hook_resource_name(enum resource);

/* The resource that the body has the shape of: the header's where that fits,
 * else the body's own. *name is the name to keep ("" when nobody said one),
 * *mismatch says that a usable header was overruled. */
enum resource	hook_resource(const struct hook *, struct json root,
		    struct span *name, bool *mismatch);

/* The header's name where it is one ([A-Za-z0-9_.-], 1 to 64), else "". */
struct span	hook_resource_header(const struct hook *);

/* Whether `list` (`resource.action`, `resource.*` or `*`, separated by white
 * space or commas) lets this one in. */
bool		hook_observed(struct span list, struct span resource,
		    struct span action);
#define HOOK_OBSERVE_DEFAULT \
	"issue.created issue.resolved issue.assigned error.created " \
	"event_alert.triggered metric_alert.*"

/* Whether every entry of `list` is of that form. */
bool		hook_observe_valid(struct span list);

/* The installation's uuid, or { NULL, 0 }. */
struct span	hook_installation(struct json root);

/* Appends the key by which the same delivery is known again. `newest` is the
 * newest date of a metric alert, in ISO 8601. `root` is missing when the body
 * could not be read. */
void		hook_dedupe_key(struct text *, const struct hook *,
		    struct json root, enum resource, struct span name,
		    struct span newest);

#endif
