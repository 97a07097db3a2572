#include "backfill/change.h"

#include <stdlib.h>

#include "base/timestamp.h"

/* The activities that matter, from Sentry's src/sentry/types/activity.py; which
 * of them send a hook, from src/sentry/receivers/sentry_apps.py and the places
 * that send its signals. set_resolved_in_pull_request is not among them: it
 * says that a pull request will resolve the issue, and neither does so nor
 * sends a hook. Nor does auto_set_ongoing: issue.unresolved is sent by the
 * signals issue_unresolved and issue_escalating alone. */
static const struct change_type {
	const char	*type, *action, *status, *substatus, *resolution;
	bool		assigns;
} change_types[] = {
	{ "set_resolved", "resolved", "resolved", NULL, "now", false },
	{ "set_resolved_by_age", "resolved", "resolved", NULL, "autoresolve",
	    false },
	{ "set_resolved_in_release", "resolved", "resolved", NULL,
	    "in_release", false },
	{ "set_resolved_in_commit", "resolved", "resolved", NULL,
	    "with_commit", false },
	{ "set_unresolved", "unresolved", "unresolved", "ongoing", NULL,
	    false },
	{ "set_regression", "unresolved", "unresolved", "regressed", NULL,
	    false },
	{ "set_escalating", "unresolved", "unresolved", "escalating", NULL,
	    false },
	{ "auto_set_ongoing", NULL, "unresolved", "ongoing", NULL, false },
	{ "set_ignored", "ignored", "ignored", "archived_forever", NULL,
	    false },
	{ "assigned", "assigned", NULL, NULL, NULL, true },
	{ "unassigned", NULL, NULL, NULL, NULL, true },
};

/* issue.created is sent for these categories alone
 * (src/sentry/tasks/post_process.py). */
static bool
change_tells_creation(struct json issue)
{
	static const char *const categories[] = { "error", "outage",
	    "feedback", "cron", "uptime" };
	struct span category = json_get_scalar(issue, "issueCategory");

	for (size_t i = 0; i < sizeof(categories) / sizeof(categories[0]); i++)
		if (span_is(category, categories[i]))
			return true;
	return category.len == 0;	/* of an older Sentry: an error */
}

static const struct change_type *
change_type_of(struct json activity)
{
	struct span type = json_string(json_get(activity, "type"));

	for (size_t i = 0;
	    i < sizeof(change_types) / sizeof(change_types[0]); i++)
		if (span_is(type, change_types[i].type))
			return &change_types[i];
	return NULL;
}

/* How an issue is ignored says what would end that. */
static const char *
change_ignored_substatus(struct json data)
{
	static const char *const conditions[] = { "ignoreCount",
	    "ignoreDuration", "ignoreUntil", "ignoreUserCount",
	    "ignoreUserWindow", "ignoreWindow" };

	if (json_truthy(json_get(data, "ignoreUntilEscalating")))
		return "archived_until_escalating";
	for (size_t i = 0; i < sizeof(conditions) / sizeof(conditions[0]); i++)
		if (json_truthy(json_get(data, conditions[i])))
			return "archived_until_condition_met";
	return "archived_forever";
}

static bool
change_read(struct change *c, struct json activity)
{
	const struct change_type *t = change_type_of(activity);
	struct json data = json_get(activity, "data");

	*c = (struct change){ .activity = activity,
	    .id = json_get_scalar(activity, "id") };
	if (t == NULL || c->id.len == 0 || !timestamp_read_ms(&c->at,
	    json_string(json_get(activity, "dateCreated"))))
		return false;
	c->action = t->action;
	c->status = t->status;
	c->substatus = t->substatus;
	c->assigns = t->assigns;
	c->resolution = t->resolution;
	if (span_is(span_of(t->type), "set_ignored"))
		c->substatus = change_ignored_substatus(data);
	if (span_is(span_of(t->type), "set_resolved_in_release") &&
	    json_get_scalar(data, "version").len == 0)
		c->resolution = "in_next_release";
	return true;
}

/* Those of one time stay in the order in which they are: a beginning first,
 * then as Sentry's numbers grow. */
static int
change_compare(const void *a, const void *b)
{
	const struct change *x = a, *y = b;

	if (x->at != y->at)
		return x->at < y->at ? -1 : 1;
	if (x->id.len != y->id.len)
		return x->id.len < y->id.len ? -1 : 1;
	return x->id.len == 0 ? 0 : memcmp(x->id.at, y->id.at, x->id.len);
}

/* Whether set_unresolved ends something else than a resolution: of an issue
 * that is archived it sends the signal issue_unignored, and no hook. Where what
 * was before is hidden, it was a resolution, which is far more common.
 * (src/sentry/issues/status_change.py) */
static bool
change_unarchives(const struct change *c, const struct change *before,
    bool hidden)
{
	bool known = before != NULL && (before->id.len > 0 || !hidden);

	return span_is(json_string(json_get(c->activity, "type")),
	    "set_unresolved") && (known ?
	    strcmp(before->status, "resolved") != 0 : !hidden);
}

/* Goes through them once more, to note with each what was so then. */
static void
change_replay(struct change_list *l)
{
	const struct change *state = NULL, *assignment = NULL;

	for (size_t i = 0; i < l->count; i++) {
		struct change *c = &l->change[i];

		if (change_unarchives(c, state, l->hidden_before > 0))
			c->action = NULL;
		if (c->status != NULL)
			state = c;
		if (c->assigns)
			assignment = c->action != NULL ? c : NULL;
		c->state = state;
		c->assignment = assignment;
	}
	for (size_t i = l->count, s = 0, a = 0; i-- > 0;) {
		struct change *c = &l->change[i];

		c->state_is_last = s == 0;
		c->assignment_is_last = a == 0;
		s += c->status != NULL;
		a += c->assigns;
	}
}

/* Since when these are all: Sentry shows the newest only, and ends with the
 * first, which says when the issue was seen at first, if it is among them. */
static int64_t
change_hidden_before(struct json activities)
{
	int64_t oldest = INT64_MAX, at;
	size_t n = json_count(activities);

	for (size_t i = 0; i < n; i++) {
		struct json activity = json_at(activities, i);

		if (span_is(json_string(json_get(activity, "type")),
		    "first_seen"))
			return 0;
		if (timestamp_read_ms(&at, json_string(json_get(activity,
		    "dateCreated"))) && at < oldest)
			oldest = at;
	}
	return n < CHANGE_ACTIVITIES || oldest == INT64_MAX ? 0 : oldest;
}

void
change_list_read(struct change_list *l, struct json issue,
    struct json activities)
{
	size_t n = json_count(activities);
	struct change *first = &l->change[0];

	l->count = 0;
	l->hidden_before = change_hidden_before(activities);
	*first = (struct change){ .status = "unresolved", .substatus = "new" };
	if (timestamp_read_ms(&first->at,
	    json_string(json_get(issue, "firstSeen")))) {
		if (change_tells_creation(issue))
			first->action = "created";
		l->count++;
	}
	for (size_t i = 0; i < n && l->count < CHANGES_MAX; i++)
		l->count += change_read(&l->change[l->count],
		    json_at(activities, i));
	qsort(l->change, l->count, sizeof(l->change[0]), change_compare);
	change_replay(l);
}
