/* What a hook is about: the same facts, wherever its resource keeps them.
 * docs/observation.md says where that is. */
#ifndef FACTS_H
#define FACTS_H

#include "hook/hook.h"
#include "base/timestamp.h"

struct resource;

/* Everything borrows from the parsed body and the hook. A span without bytes
 * ({ NULL, 0 }) is a fact that the payload does not hold. */
struct facts {
	const struct resource	*resource;
	const struct hook	*hook;
	struct span	name;		/* the resource's, as it is kept */
	struct span	action;
	bool		prints_null;	/* an issue hook: null is a text, as in
					 * JavaScript's templates */
	struct json	root;
	struct json	data;
	struct json	issue;		/* data.issue */
	struct json	event;		/* data.error or data.event */
	struct json	occurrence;	/* of an event that is no error */
	struct json	assignee;	/* an object, or missing */
	struct json	actor;		/* the envelope's */
	struct span	issue_id;
	struct span	short_id;
	struct span	project_id;
	struct span	project_slug;
	struct span	level;
	struct span	release;
	struct span	commit;		/* where the hook itself names it */
	bool		learned;	/* the release is another hook's */
	struct span	environment;
	struct span	rule;		/* the alert rule's name */
	struct span	rule_id;	/* its number, to refer to */
	struct span	url;		/* where a person looks at it */
	struct json	pulls;		/* what names pull requests */
	struct json	git;		/* of what a build was made */
};

/* The beginning of all facts: where to look for the others. */
void	facts_start(struct facts *, const struct resource *,
	    const struct hook *, struct json root, struct span name);

/* Fills in what lies with the event; or with the issue in `data`, if there is
 * one, else in `data` itself. */
void	facts_of_event(struct facts *, struct json event);
void	facts_of_issue(struct facts *);

/* The id of the issue in `data`. */
struct span	facts_issue_number(const struct facts *);

/* An event's release; { NULL, 0 } without. */
struct span	facts_release(struct json event);

/* An event's title: its occurrence's, where there is one. */
struct span	facts_event_title(const struct facts *);

/* Whether this is a date, in ISO 8601 or seconds since 1970; then *m is it. */
bool	facts_date(struct timestamp *m, struct json);

/* When it happened, where no resource says better: the hook's timestamp, else
 * its reception. */
void	facts_sent(struct timestamp *m, const struct facts *);

/* What a person is shown of a value, or of an object's member: where
 * `prints_null`, null is a text; elsewhere it is as good as missing. */
struct span	facts_shows(const struct facts *, struct json);
struct span	facts_shown(const struct facts *, struct json,
		    const char *name);

/* The first that has bytes, else the second. */
struct span	facts_first(struct span, struct span);

/* The same of the texts of two members. */
struct span	facts_either(struct json, const char *, const char *);

#endif
