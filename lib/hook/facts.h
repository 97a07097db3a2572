/* The facts of a hook: what all resources tell (ids, project, release ...),
 * each in its own place. docs/observation.md says where those places are. */
#ifndef FACTS_H
#define FACTS_H

#include "base/timestamp.h"
#include "hook/hook.h"

struct resource;

/* All spans and values borrow from the parsed body and the hook. A fact that
 * the hook does not hold is { NULL, 0 }, or JSON_MISSING. */
struct facts {
	const struct resource	*resource;
	const struct hook	*hook;
	struct span	name;		/* the resource's, as it is stored */
	struct span	action;
	bool		prints_null;	/* an issue hook: its texts are those of
					 * the TypeScript functions, in which
					 * null prints "null" */
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
	struct span	commit;		/* if the hook itself names one */
	bool		learned;	/* the release is that of an event of
					 * the issue, not of this hook */
	struct span	environment;
	struct span	rule;		/* the alert rule's name */
	struct span	rule_id;	/* its number, to refer to */
	struct span	url;		/* of the page for people */
	struct json	pulls;		/* holds pull requests */
	struct json	git;		/* the commit that a build is made of */
};

/* Starts the facts: fills in those that all resources have in the same place
 * (action, actor, data, issue, event, assignee). */
void	facts_start(struct facts *, const struct resource *,
	    const struct hook *, struct json root, struct span name);

/* Fill in the facts that a resource has in its event; or in `data.issue` if
 * there is one, else in `data` itself. */
void	facts_of_event(struct facts *, struct json event);
void	facts_of_issue(struct facts *);

/* The id of the issue in `data`. */
struct span	facts_issue_number(const struct facts *);

/* An event's release: a string, an object with a `version`, or a tag. */
struct span	facts_release(struct json event);

/* An event's title: its occurrence's, where there is one. */
struct span	facts_event_title(const struct facts *);

/* Whether a value is a date, in ISO 8601 or in seconds since 1970. If so, *when
 * is that date. */
bool	facts_date(struct timestamp *when, struct json);

/* When the hook was sent: its timestamp, else when it was received. */
void	facts_sent(struct timestamp *when, const struct facts *);

/* The text of a value, or of an object's member. A null has the text "null"
 * where `prints_null` is set, else none. */
struct span	facts_text(const struct facts *, struct json);
struct span	facts_member_text(const struct facts *, struct json,
		    const char *name);

/* The first text if it is not empty, else the second. */
struct span	facts_first(struct span, struct span);

/* facts_first() of the texts of two members. */
struct span	facts_either(struct json, const char *, const char *);

#endif
