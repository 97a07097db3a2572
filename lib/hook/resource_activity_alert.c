/* Alerts about an activity on an issue: it was resolved, it escalated, Seer
 * made a pull request. `activity` says which activity it was, with its details.
 * */
#include "base/json_member.h"
#include "hook/body_line.h"
#include "hook/dedupe_key.h"
#include "hook/metadata.h"
#include "hook/pull_request.h"
#include "hook/resource.h"
#include "hook/title.h"

static struct json
activity_alert_object(const struct facts *f)
{
	return json_get(f->data, "activity");
}

static struct json
activity_alert_rule(const struct facts *f)
{
	return json_get(f->data, "alert");
}

static struct span
activity_alert_type(const struct facts *f)
{
	return span_filled(json_get_scalar(activity_alert_object(f), "type"));
}

static void
activity_alert_find(struct facts *f)
{
	facts_of_issue(f);
	f->rule = span_filled(json_get_scalar(activity_alert_rule(f),
	    "title"));
	f->rule_id = json_get_scalar(activity_alert_rule(f), "id");
	f->pulls = json_get(activity_alert_object(f), "details");
}

static bool
activity_alert_key(struct text *t, const struct facts *f)
{
	return dedupe_key_of_body(t, f, facts_first(f->rule_id,
	    json_get_scalar(f->issue, "id")));
}

static void
activity_alert_title(struct text *t, const struct facts *f)
{
	struct text says = { 0 }, found = { 0 };

	title_found(&found, f);
	text_span(&says, activity_alert_type(f));
	if (says.len > 0 && found.len > 0)
		text_str(&says, ": ");
	text_span(&says, text_view(&found));
	title_add_plain(t, f, span_filled(text_view(&says)));
	t->broken |= says.broken | found.broken;
	text_release(&says);
	text_release(&found);
}

static struct span
activity_alert_url(const struct facts *f)
{
	struct json rule = activity_alert_rule(f);

	return facts_first(json_string(json_get(rule, "web_url")),
	    json_string(json_get(rule, "url")));
}

/* `- NAME: VALUE` for each member of an activity's details that has a text, or
 * that is an object with a name, title, version or id. */
static void
activity_alert_detail_lines(struct text *t, struct json details)
{
	struct json value;
	struct span name, says;
	const void *at = NULL;

	while (json_next(details, &at, &name, &value)) {
		/* pull_request_lines() shows pull requests. */
		if (span_is(name, "pull_request") || (name.len >= 3 &&
		    memcmp(name.at, "pr_", 3) == 0))
			continue;
		says = facts_first(json_scalar(value), facts_first(
		    facts_either(value, "name", "title"),
		    facts_either(value, "version", "id")));
		if (says.len > 0)
			body_line_add_pair(t, "- ", name, says);
	}
}

static void
activity_alert_body(struct text *t, const struct facts *f)
{
	struct json details = json_get(f->issue, "statusDetails");
	struct json commit = json_get(details, "inCommit");

	body_line_add_filled(t, "**Activity**: ", activity_alert_type(f), "");
	body_line_add_pair(t, "**Issue**: ", f->short_id,
	    json_get_scalar(f->issue, "title"));
	body_line_add_pair(t, "**Status**: ",
	    json_get_scalar(f->issue, "status"),
	    json_get_scalar(f->issue, "substatus"));
	body_line_add_member(t, "**Resolved in release**: ", details,
	    "inRelease");
	body_line_add_filled(t, "**Resolved in commit**: ",
	    facts_first(json_scalar(commit), json_get_scalar(commit, "id")),
	    "");
	body_line_add_filled(t, "**Alert**: ", f->rule, "");
	activity_alert_detail_lines(t, f->pulls);
	pull_request_code_change_lines(t, json_get(f->pulls, "code_changes"));
	pull_request_lines(t, f);
	body_line_add_filled(t, "\n**Link**: ",
	    facts_first(f->url, activity_alert_url(f)), "");
}

static void
activity_alert_metadata(struct text *t, const struct facts *f)
{
	metadata_ids(t, f);
	json_member_string(t, "activityType", activity_alert_type(f));
	metadata_texts(t, f->issue, (const char *const[]){ "status", "status",
	    "substatus", "substatus", NULL });
	json_member_string(t, "rule", f->rule);
	json_member_string(t, "ruleId", f->rule_id);
	json_member_string(t, "alertUrl", activity_alert_url(f));
}

const struct resource resource_activity_alert = {
	.name = "activity_alert",
	.members = { "activity", "alert" },
	.object = true,
	.source = "issue",
	.actions = "triggered",
	.find = activity_alert_find,
	.number = facts_issue_number,
	.key = activity_alert_key,
	.title = activity_alert_title,
	.body = activity_alert_body,
	.metadata = activity_alert_metadata,
};
