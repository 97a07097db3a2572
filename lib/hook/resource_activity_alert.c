/* An alert about what was done with an issue: resolved, escalated, a pull
 * request by Seer. Which activity, and how it went, is all in `activity`. */
#include "hook/dedupe_key.h"
#include "hook/body_line.h"
#include "base/json_member.h"
#include "hook/metadata.h"
#include "hook/pull_request.h"
#include "hook/resource.h"
#include "hook/title.h"

static struct json
activity(const struct facts *f)
{
	return json_get(f->data, "activity");
}

static struct json
alert(const struct facts *f)
{
	return json_get(f->data, "alert");
}

static struct span
type(const struct facts *f)
{
	return span_filled(json_get_scalar(activity(f), "type"));
}

static void
find(struct facts *f)
{
	facts_of_issue(f);
	f->rule = span_filled(json_get_scalar(alert(f), "title"));
	f->rule_id = json_get_scalar(alert(f), "id");
	f->pulls = json_get(activity(f), "details");
}

static bool
key(struct text *t, const struct facts *f)
{
	return dedupe_key_of_body(t, f, facts_first(f->rule_id,
	    json_get_scalar(f->issue, "id")));
}

static void
title(struct text *t, const struct facts *f)
{
	struct text says = { 0 }, found = { 0 };

	title_found(&found, f);
	text_span(&says, type(f));
	if (says.len > 0 && found.len > 0)
		text_str(&says, ": ");
	text_span(&says, text_view(&found));
	title_add_plain(t, f, span_filled(text_view(&says)));
	t->broken |= says.broken | found.broken;
	text_release(&says);
	text_release(&found);
}

static struct span
alert_url(const struct facts *f)
{
	return facts_first(json_string(json_get(alert(f), "web_url")),
	    json_string(json_get(alert(f), "url")));
}

/* `- NAME: VALUE` of what is known of an activity, by text or by name. */
static void
detail_lines(struct text *t, struct json details)
{
	struct json value;
	struct span name, says;
	const void *at = NULL;

	while (json_next(details, &at, &name, &value)) {
		/* Others have lines of their own. */
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
body(struct text *t, const struct facts *f)
{
	struct json details = json_get(f->issue, "statusDetails");
	struct json commit = json_get(details, "inCommit");

	body_line_add_filled(t, "**Activity**: ", type(f), "");
	body_line_add_pair(t, "**Issue**: ", f->short_id,
	    json_get_scalar(f->issue, "title"));
	body_line_add_pair(t,
	    "**Status**: ", json_get_scalar(f->issue, "status"),
	    json_get_scalar(f->issue, "substatus"));
	body_line_add_filled(t, "**Resolved in release**: ",
	    json_get_scalar(details, "inRelease"), "");
	body_line_add_filled(t, "**Resolved in commit**: ",
	    facts_first(json_scalar(commit), json_get_scalar(commit, "id")),
	    "");
	body_line_add_filled(t, "**Alert**: ", f->rule, "");
	detail_lines(t, f->pulls);
	pull_request_code_change_lines(t, json_get(f->pulls, "code_changes"));
	pull_request_lines(t, f);
	body_line_add_filled(
	    t, "\n**Link**: ", facts_first(f->url, alert_url(f)), "");
}

static void
metadata(struct text *t, const struct facts *f)
{
	metadata_ids(t, f);
	json_member_string(t, "activityType", type(f));
	metadata_texts(t, f->issue, (const char *const[]){ "status", "status",
	    "substatus", "substatus", NULL });
	json_member_string(t, "rule", f->rule);
	json_member_string(t, "ruleId", f->rule_id);
	json_member_string(t, "alertUrl", alert_url(f));
}

const struct resource resource_activity_alert = {
	.name = "activity_alert",
	.members = { "activity", "alert" },
	.object = true,
	.source = "issue",
	.actions = "triggered",
	.find = find,
	.number = facts_issue_number,
	.key = key,
	.title = title,
	.body = body,
	.metadata = metadata,
};
