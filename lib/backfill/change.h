/* What has happened to an issue, as its activities tell it. */
#ifndef CHANGE_H
#define CHANGE_H

#include <stdint.h>

#include "base/json.h"

#define CHANGE_ACTIVITIES	100	/* Sentry shows the newest; no pages */
#define CHANGES_MAX		200	/* that are read, of more */

/* One of an issue's changes. Everything borrows from the parsed answers. */
struct change {
	const char	*action;	/* of its hook; NULL: Sentry sends
					 * none */
	int64_t		 at;		/* ms since 1970, by Sentry's clock */
	struct json	 activity;	/* JSON_MISSING: the issue's creation */
	struct span	 id;		/* the activity's number */
	const char	*status;	/* of the issue then; NULL: as before */
	const char	*substatus;
	bool		 assigns;	/* it changed who is assigned */
	const char	*resolution;	/* a hook's resolution_type; or NULL */
	/* The change that gave the issue the status that it had then, and the
	 * one that said who was assigned then, NULL for nobody; and whether
	 * these are the last of their kind, so that it is still so. */
	const struct change	*state, *assignment;
	bool		 state_is_last, assignment_is_last;
};

struct change_list {
	struct change	change[CHANGES_MAX + 1];	/* oldest first */
	size_t		count;
	int64_t		hidden_before;	/* ms; older activities were not shown;
					 * 0: these are all */
};

/* Reads an issue, as the list of issues has it, with its activities, an array
 * in any order. What is of no known form is left out. */
void	change_list_read(struct change_list *, struct json issue,
	    struct json activities);

#endif
