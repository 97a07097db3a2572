#include "backfill/hook_body.h"

#include "base/ascii.h"
#include "base/json_member.h"

static void
hook_body_value(struct text *t, const char *name, struct json v)
{
	if (v.kind == JSON_MISSING)
		return;
	json_member(t, name);
	json_write(t, v, JSON_COMPACT_ASCII);
}

/* A number as a number, where Sentry's hooks have one; anything else as it
 * is. */
static void
hook_body_number(struct text *t, const char *name, struct span id)
{
	bool number = id.len > 0 && id.len <= 18 &&
	    (id.at[0] != '0' || id.len == 1);

	for (size_t i = 0; i < id.len && number; i++)
		number = ascii_is_digit(id.at[i]);
	json_member(t, name);
	if (number)
		text_span(t, id);
	else
		text_json(t, id);
}

/* ---- who was assigned ---- */

/* Activities know an assignee by number, type and, often, e-mail address. The
 * name is that of a person who is named elsewhere in the answers, if any. */
static struct span
hook_body_assignee_name(struct json issue, const struct change *c)
{
	struct json data = json_get(c->activity, "data");
	struct span id = json_get_scalar(data, "assignee");
	struct json others[] = { json_get(issue, "assignedTo"),
	    json_get(c->activity, "user") };
	struct span name = json_get_scalar(data, "assigneeName");

	for (size_t i = 0; i < 2 && name.len == 0; i++)
		if (id.len > 0 &&
		    span_same(json_get_scalar(others[i], "id"), id))
			name = json_get_scalar(others[i], "name");
	return name.len > 0 ? name : json_get_scalar(data, "assigneeEmail");
}

/* As `data.assignee` of a hook, with a number for an id, or as the issue's
 * `assignedTo`, with a text. */
static void
hook_body_assignee(struct text *t, const char *member, struct json issue,
    const struct change *c)
{
	struct json data = json_get(c->activity, "data");
	struct span type = json_get_scalar(data, "assigneeType");
	struct span id = json_get_scalar(data, "assignee");
	bool team = span_is(type, "team");

	json_member(t, member);
	text_str(t, "{");
	json_member_string(t, "type", span_of(team ? "team" : "user"));
	if (strcmp(member, "assignee") == 0)
		hook_body_number(t, "id", id);
	else
		json_member_string(t, "id", id);
	json_member_string(t, "name", hook_body_assignee_name(issue, c));
	if (!team)
		json_member_string(t, "email",
		    span_filled(json_get_scalar(data, "assigneeEmail")));
	text_str(t, "}");
}

static void
hook_body_assigned_to(struct text *t, struct json issue,
    const struct change *c)
{
	if (c->assignment_is_last)
		hook_body_value(t, "assignedTo", json_get(issue, "assignedTo"));
	else if (c->assignment != NULL)
		hook_body_assignee(t, "assignedTo", issue, c->assignment);
	else
		json_member_or_null(t, "assignedTo", SPAN_NONE);
}

/* ---- the status ---- */

static void
hook_body_details(struct text *t, const struct change *state)
{
	struct json data = json_get(state->activity, "data");
	struct span version = json_get_scalar(data, "version");

	json_member(t, "statusDetails");
	text_str(t, "{");
	if (state->resolution != NULL) {
		if (strcmp(state->resolution, "in_release") == 0)
			json_member_string(t, "inRelease", version);
		else if (strcmp(state->resolution, "in_next_release") == 0)
			text_str(t, "\"inNextRelease\":true");
		else if (strcmp(state->resolution, "autoresolve") == 0)
			text_str(t, "\"autoResolved\":true");
		else if (strcmp(state->resolution, "with_commit") == 0)
			hook_body_value(t, "inCommit",
			    json_get(data, "commit"));
	}
	text_str(t, "}");
}

/* The issue's own members hold where nothing has changed its status since, and
 * they agree with the last activity that did. */
static void
hook_body_status(struct text *t, struct json issue, const struct change *c)
{
	const struct change *state = c->state;

	if (state == NULL || (c->state_is_last && span_is(
	    json_get_scalar(issue, "status"), state->status))) {
		hook_body_value(t, "status", json_get(issue, "status"));
		hook_body_value(t, "statusDetails",
		    json_get(issue, "statusDetails"));
		hook_body_value(t, "substatus", json_get(issue, "substatus"));
		return;
	}
	json_member_string(t, "status", span_of(state->status));
	hook_body_details(t, state);
	json_member_or_null(t, "substatus", span_of(state->substatus));
}

/* ---- the issue ---- */

/* Members that a list of issues has and a hook has not, and those that are
 * written by hand. */
static bool
hook_body_leaves_out(struct span name)
{
	static const char *const names[] = { "stats", "filtered", "lifetime",
	    "inbox", "owners", "latestEvent", "matchingEventId",
	    "matchingEventEnvironment", "count", "userCount", "firstSeen",
	    "lastSeen", "status", "statusDetails", "substatus", "assignedTo" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (span_is(name, names[i]))
			return true;
	return false;
}

/* A list counts within its window; `lifetime` is what a hook has. */
static void
hook_body_counts(struct text *t, struct json issue)
{
	static const char *const names[] = { "count", "userCount", "firstSeen",
	    "lastSeen" };
	struct json lifetime = json_get(issue, "lifetime");

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct json v = json_get(lifetime, names[i]);

		hook_body_value(t, names[i],
		    json_nullish(v) ? json_get(issue, names[i]) : v);
	}
}

static void
hook_body_issue(struct text *t, struct json issue, const struct change *c)
{
	const void *at = NULL;
	struct span name;
	struct json v;

	json_member(t, "issue");
	text_str(t, "{");
	while (json_next(issue, &at, &name, &v)) {
		if (hook_body_leaves_out(name))
			continue;
		if (t->len > 0 && t->at[t->len - 1] != '{')
			text_str(t, ",");
		text_json(t, name);
		text_str(t, ":");
		json_write(t, v, JSON_COMPACT_ASCII);
	}
	hook_body_status(t, issue, c);
	hook_body_assigned_to(t, issue, c);
	hook_body_counts(t, issue);
	text_str(t, "}");
}

/* Sentry itself, where no user did it. */
static void
hook_body_actor(struct text *t, struct json user)
{
	struct span name = json_get_scalar(user, "name");

	json_member(t, "actor");
	if (json_get_scalar(user, "id").len == 0) {
		text_str(t, "{\"type\":\"application\",\"id\":\"sentry\","
		    "\"name\":\"Sentry\"}");
		return;
	}
	text_str(t, "{");
	json_member_string(t, "type", span_of("user"));
	hook_body_number(t, "id", json_get_scalar(user, "id"));
	json_member_string(t, "name", name.len > 0 ? name :
	    json_get_scalar(user, "username"));
	text_str(t, "}");
}

void
hook_body(struct text *t, struct json issue, const struct change *c,
    struct span installation)
{
	text_str(t, "{");
	json_member_string(t, "action", span_of(c->action));
	if (installation.len > 0) {
		json_member(t, "installation");
		text_str(t, "{");
		json_member_string(t, "uuid", installation);
		text_str(t, "}");
	}
	json_member(t, "data");
	text_str(t, "{");
	hook_body_issue(t, issue, c);
	if (c->resolution != NULL)
		json_member_string(t, "resolution_type",
		    span_of(c->resolution));
	if (c->assigns)
		hook_body_assignee(t, "assignee", issue, c);
	text_str(t, "}");
	hook_body_actor(t, json_get(c->activity, "user"));
	text_str(t, "}");
}
