/* A hook's bytes -> an observation: a value without references to anything. */
#ifndef OBSERVATION_H
#define OBSERVATION_H

#include "hook/hook.h"

enum outcome {
	OUTCOME_OBSERVED,	/* becomes a row of the outbox */
	OUTCOME_IGNORED,	/* authentic, kept, but not observed */
	OUTCOME_UNREADABLE	/* authentic, kept, but not a JSON object */
};

const char	*outcome_name(enum outcome);

/* The fields of an observation. The first five are there for every outcome. In
 * all but SOURCE_EVENT a NUL has become U+FFFD: tools that show columns stop at
 * a NUL. */
enum observation_field {
	OBSERVED_RESOURCE,
	OBSERVED_ACTION,
	OBSERVED_INSTALLATION,
	OBSERVED_DEDUPE_KEY,
	OBSERVED_EVENT_ID,
	OBSERVED_SOURCE_TYPE,
	OBSERVED_SOURCE_ID,
	OBSERVED_TITLE,
	OBSERVED_OCCURRED_AT,
	OBSERVED_PROJECT_ID,
	OBSERVED_PROJECT_SLUG,
	OBSERVED_ISSUE_ID,
	OBSERVED_SHORT_ID,
	OBSERVED_LEVEL,
	OBSERVED_RELEASE,
	OBSERVED_ENVIRONMENT,
	OBSERVED_SOURCE_EVENT,	/* compact JSON */
	OBSERVED_FIELDS
};

struct observation {
	enum outcome	outcome;
	bool		mismatch;	/* the body overruled the header */
	bool		is_event;	/* its release becomes known of its
					 * issue */
	bool		needs_release;	/* an issue's, whose hook names no
					 * release */
	struct text	bytes;		/* all fields, one behind the other */
	struct {
		size_t	at, len;
		bool	set;
	} field[OBSERVED_FIELDS];
};

/* Turns a hook into an observation; the result depends on the arguments alone.
 * `list` says which resources and actions are observed (observe_list.h).
 * Returns 0, or -1 without memory; observation_release() in either case. */
int	observation_make(struct observation *, const struct hook *,
	    struct span list) __attribute__((warn_unused_result));
void	observation_release(struct observation *);

/* A field's bytes, { NULL, 0 } where it is not there; until the observation
 * changes. */
struct span	observation_get(const struct observation *,
		    enum observation_field);

/* Makes an observation that `needs_release` anew, from the same hook, with the
 * release that is known of its issue: that of the last event that named one.
 * Returns 0, or -1 without memory and with nothing changed. */
int	observation_set_release(struct observation *, const struct hook *,
	    struct span release) __attribute__((warn_unused_result));

#endif
