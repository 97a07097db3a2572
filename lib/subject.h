/* What a hook is about: the same facts, wherever its resource keeps them. */
#ifndef SUBJECT_H
#define SUBJECT_H

#include "hook.h"
#include "moment.h"

/* Everything borrows from the parsed body and the hook. A span without bytes
 * ({ NULL, 0 }) is a fact that the payload does not hold. */
struct subject {
	enum resource	resource;
	struct span	name;		/* the resource's, as it is kept */
	struct span	action;
	bool		plan;		/* data.issue: the plan's own shape, in
					 * which JavaScript's null is printed */
	struct json	data;
	struct json	issue;		/* data.issue */
	struct json	event;		/* data.error or data.event */
	struct json	alert;		/* data.metric_alert */
	struct json	actor;		/* the envelope's */
	struct span	issue_id;
	struct span	short_id;
	struct span	project_id;
	struct span	project_slug;
	struct span	level;
	struct span	release;
	struct span	environment;
	struct span	rule;		/* the alert rule's name */
	struct span	url;		/* where a person looks at it */
	struct moment	occurred;
};

void	subject_find(struct subject *, const struct hook *, struct json root,
	    enum resource, struct span name);

/* The newest of a metric alert's dates; an empty one without any. */
void	subject_newest_date(struct moment *, struct json alert);

/* The exception that was raised: the last with frames (Sentry lists causes
 * first). In the plan's own shape it is the first of all. */
struct json	subject_raised(const struct subject *);

/* What a person is shown of a value, or of an object's member: in the plan's
 * own shape null is a text, as in JavaScript's templates; elsewhere it is as
 * good as missing. */
struct span	subject_shows(const struct subject *, struct json);
struct span	subject_shown(const struct subject *, struct json,
		    const char *name);

#endif
