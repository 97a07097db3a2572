#include "metadata.h"

#include "member.h"

static bool
has_stack_trace(const struct subject *s)
{
	struct json values = json_get(json_get(s->event, "exception"),
	    "values");

	for (size_t i = 0; i < json_count(values); i++)
		if (json_truthy(json_get(json_at(values, i), "stacktrace")))
			return true;
	return false;
}

static void
error_value(struct text *t, struct json v)
{
	struct span s = json_string(v);
	size_t fit = text_fit_bytes(s, ERROR_VALUE_MAX);

	if (fit == s.len) {
		member_value_or_null(t, "errorValue", v);
		return;
	}
	member(t, "errorValue");
	text_str(t, "\"");
	text_escaped(t, (struct span){ s.at, fit });
	text_str(t, TEXT_ELLIPSIS "\"");
}

/* The last members that an issue and an event have in common, from `release`
 * on, in the plan's order. */
static void
plan_tail(struct text *t, const struct subject *s,
    size_t gap[2])
{
	struct json thing = s->plan ? s->issue : s->event;
	struct json meta = json_get(thing, "metadata");

	member(t, "release");
	gap[0] = t->len;
	if (s->release.len > 0)
		text_json(t, s->release);
	else	/* the plan's `version ?? null`: "" stays what it is */
		text_str(t, s->plan && json_string(json_get(json_get(s->event,
		    "release"), "version")).at != NULL ? "\"\"" : "null");
	if (s->plan)
		member_value_or_null(t, "environment",
		    json_get(s->event, "environment"));
	else
		member_or_null(t, "environment", s->environment);
	member_value_or_null(t, "errorType", json_get(meta, "type"));
	error_value(t, json_get(meta, "value"));
	if (s->plan)
		member_value(t, "culprit", json_get(thing, "culprit"));
	else
		member_extra(t, "culprit", json_get(thing, "culprit"));
	member(t, "hasStackTrace");
	text_str(t, has_stack_trace(s) ? "true" : "false");
	gap[1] = t->len;
}

static void
issue_metadata(struct text *t, const struct subject *s,
    size_t gap[2])
{
	struct json i = s->issue, project = json_get(i, "project");

	member_id(t, "issueId", json_get(i, "id"));
	member_id(t, "shortId", json_get(i, "shortId"));
	member_value(t, "permalink", json_get(i, "permalink"));
	member_value(t, "projectSlug", json_get(project, "slug"));
	member_id(t, "projectId", json_get(project, "id"));
	member_value(t, "platform", json_get(i, "platform"));
	member_value(t, "level", json_get(i, "level"));
	member_value(t, "status", json_get(i, "status"));
	member_integer(t, "eventCount", json_get(i, "count"));
	member_integer(t, "userCount", json_get(i, "userCount"));
	member_value(t, "firstSeen", json_get(i, "firstSeen"));
	member_value(t, "lastSeen", json_get(i, "lastSeen"));
	plan_tail(t, s, gap);
	if (s->release.len > 0)
		member_string(t, "releaseFrom", span_of("event"));
	member_extra(t, "substatus", json_get(i, "substatus"));
	member_extra(t, "priority", json_get(i, "priority"));
	member_extra(t, "issueType", json_get(i, "issueType"));
	member_extra(t, "issueCategory", json_get(i, "issueCategory"));
	member_extra(t, "resolutionType", json_get(s->data, "resolution_type"));
}

static void
event_metadata(struct text *t, const struct subject *s,
    size_t gap[2])
{

	member_string(t, "issueId", s->issue_id);
	member_string(t, "permalink", s->url);
	member_string(t, "projectSlug", s->project_slug);
	member_string(t, "projectId", s->project_id);
	member_string(t, "platform", json_get_scalar(s->event, "platform"));
	member_string(t, "level", s->level);
	plan_tail(t, s, gap);
	member_string(t, "eventId", json_get_scalar(s->event, "event_id"));
	if (s->release.len > 0)
		member_string(t, "releaseFrom", span_of("event"));
	if (s->rule.len > 0)
		member_string(t, "rule", s->rule);
	member_string(t, "ruleId", json_get_scalar(json_get(s->data,
	    "issue_alert"), "id"));
}

static void
metric_metadata(struct text *t, const struct subject *s)
{
	struct json rule = json_get(s->alert, "alert_rule");
	struct json projects = json_get(s->alert, "projects");

	member_string(t, "metricAlertId", json_get_scalar(s->alert, "id"));
	member_string(t, "identifier", json_get_scalar(s->alert, "identifier"));
	member_extra(t, "status", json_get(s->alert, "status"));
	member_string(t, "projectSlug", s->project_slug);
	if (projects.kind == JSON_ARRAY)
		member_value(t, "projects", projects);
	member_string(t, "rule", s->rule);
	member_string(t, "ruleId", json_get_scalar(rule, "id"));
	member_string(t, "aggregate", json_get_scalar(rule, "aggregate"));
	member_string(t, "query", json_get_scalar(rule, "query"));
	member_extra(t, "timeWindow", json_get(rule, "time_window"));
	member_string(t, "permalink", json_get_scalar(s->data, "web_url"));
}

static void
comment_metadata(struct text *t, const struct subject *s)
{
	member_string(t, "commentId", json_get_scalar(s->data, "comment_id"));
	member_string(t, "issueId", s->issue_id);
	member_string(t, "projectSlug", s->project_slug);
	member_string(t, "commentedAt", json_get_scalar(s->data, "timestamp"));
}

static void
installation_metadata(struct text *t, const struct subject *s)
{
	struct json i = json_get(s->data, "installation");

	member_string(t, "installationId", json_get_scalar(i, "uuid"));
	member_string(t, "status", json_get_scalar(i, "status"));
	member_string(t, "organizationSlug", json_get_scalar(json_get(i,
	    "organization"),
	    "slug"));
	member_string(t, "appSlug",
	    json_get_scalar(json_get(i, "app"), "slug"));
}

static void
other_metadata(struct text *t, const struct subject *s)
{
	member_string(t, "issueId", s->issue_id);
	member_string(t, "shortId", s->short_id);
	member_string(t, "permalink", s->url);
	member_string(t, "projectSlug", s->project_slug);
	member_string(t, "projectId", s->project_id);
	member_string(t, "level", s->level);
	member_string(t, "groupId", json_get_scalar(s->data, "group_id"));
	member_string(t, "runId", json_get_scalar(s->data, "run_id"));
	member_string(t, "buildId", json_get_scalar(s->data, "buildId"));
}

/* The envelope's actor, whoever the observation's is. */
static void
add_triggered_by(struct text *t, const struct subject *s)
{
	if (s->actor.kind != JSON_OBJECT)
		return;
	member(t, "triggeredBy");
	text_str(t, "{");
	member_string(t, "type", json_get_scalar(s->actor, "type"));
	member_string(t, "id", json_get_scalar(s->actor, "id"));
	member_string(t, "name", json_get_scalar(s->actor, "name"));
	text_str(t, "}");
}

void
metadata_add(struct text *t, const struct subject *s,
    size_t gap[2])
{

	member(t, "metadata");
	text_str(t, "{");
	switch (s->resource) {
	case RESOURCE_ISSUE:
		issue_metadata(t, s, gap);
		break;
	case RESOURCE_ERROR:
	case RESOURCE_EVENT_ALERT:
		event_metadata(t, s, gap);
		break;
	case RESOURCE_METRIC_ALERT:
		metric_metadata(t, s);
		break;
	case RESOURCE_COMMENT:
		comment_metadata(t, s);
		break;
	case RESOURCE_INSTALLATION:
		installation_metadata(t, s);
		break;
	case RESOURCE_ACTIVITY_ALERT:
	case RESOURCE_SEER:
	case RESOURCE_PREPROD_ARTIFACT:
	case RESOURCE_OTHER:
		other_metadata(t, s);
		break;
	}
	add_triggered_by(t, s);
	text_str(t, "}");
}
