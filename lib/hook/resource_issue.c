/* Issue hooks: `data.issue`, with or without `data.event`. Functions in
 * TypeScript were the first to make observations of them; what these printed is
 * printed here to the byte. */
#include "base/json_member.h"
#include "hook/body_line.h"
#include "hook/dedupe_key.h"
#include "hook/frames.h"
#include "hook/metadata.h"
#include "hook/resource.h"
#include "hook/title.h"

static void
issue_find(struct facts *f)
{
	f->prints_null = true;
	facts_of_issue(f);
	f->release = facts_release(f->event);
	f->environment = json_get_scalar(f->event, "environment");
}

static struct span
issue_number(const struct facts *f)
{
	return facts_member_text(f, f->issue, "id");
}

/* Only the creation happens once. Resolve, regress, resolve may have three
 * equal bodies, and are three hooks: nothing in a body tells them apart. */
static bool
issue_key(struct text *t, const struct facts *f)
{
	if (!span_is(f->action, "created") || f->issue_id.len == 0)
		return false;
	dedupe_key_part(t, "created:", f->issue_id);
	return true;
}

static bool
issue_occurred(struct timestamp *when, const struct facts *f)
{
	return facts_date(when, json_get(f->issue, "lastSeen"));
}

static void
issue_title(struct text *t, const struct facts *f)
{
	static const struct title_lead leads[] = {
		{ "resolved", "\u2705 [Resolved]" },
		{ "assigned", "\U0001F464 [Assigned]" },
		{ "ignored", "\U0001F507 [Ignored]" },
		{ "archived", "\U0001F507 [Archived]" },
		{ "unresolved", "\U0001F504 [Reopened]" },
		{ NULL, NULL }
	};
	struct span says = facts_member_text(f, f->issue, "title");

	if (title_add_by_action(t, f, leads, says))
		return;
	text_str(t, title_level(f->level));
	title_add(t, span_is(f->action, "created") ? " [New Issue]" : "",
	    says);
}

static void
issue_error_line(struct text *t, const struct facts *f)
{
	struct json meta = json_get(f->issue, "metadata");
	struct json type = json_get(meta, "type");
	struct json value = json_get(meta, "value");
	struct json says = json_get(f->issue, "title");

	if (!json_truthy(type) || json_scalar(type).at == NULL) {
		body_line_add(t, "**Error**: ", facts_text(f, says), "");
		return;
	}
	body_line_add(t, "**", json_scalar(type), "**");
	if (!json_nullish(value))
		says = value;
	if (facts_text(f, says).at != NULL) {
		text_str(t, ": ");
		text_span(t, facts_text(f, says));
	}
}

static void
issue_count_line(struct text *t, const struct facts *f)
{
	struct span count = facts_member_text(f, f->issue, "count");
	struct span users = facts_member_text(f, f->issue, "userCount");

	if (count.at == NULL || users.at == NULL)
		return;
	body_line_add(t, "\n**Occurrences**: ", count, " events affecting ");
	text_span(t, users);
	text_str(t, " users");
}

static void
issue_body(struct text *t, const struct facts *f)
{
	struct json culprit = json_get(f->issue, "culprit");

	issue_error_line(t, f);
	if (json_truthy(culprit))
		body_line_add(t, "\n**Location**: `", json_scalar(culprit),
		    "`");
	issue_count_line(t, f);
	body_line_add(t, "**First seen**: ",
	    facts_member_text(f, f->issue, "firstSeen"), "");
	body_line_add(t, "**Last seen**: ",
	    facts_member_text(f, f->issue, "lastSeen"), "");
	body_line_add(t, "\n**Release**: ", f->release, "");
	if (json_truthy(json_get(f->event, "environment")))
		body_line_add(t, "**Environment**: ", f->environment, "");
	frames_add(t, f);
	body_line_add(t, "\n**Platform**: ",
	    facts_member_text(f, f->issue, "platform"), "");
}

static void
issue_metadata(struct text *t, const struct facts *f)
{
	static const char *const more[] = { "substatus", "priority",
	    "issueType", "issueCategory" };
	struct json i = f->issue, project = json_get(i, "project");

	json_member_id(t, "issueId", json_get(i, "id"));
	json_member_id(t, "shortId", json_get(i, "shortId"));
	json_member_value(t, "permalink", json_get(i, "permalink"));
	json_member_value(t, "projectSlug", json_get(project, "slug"));
	json_member_id(t, "projectId", json_get(project, "id"));
	json_member_value(t, "platform", json_get(i, "platform"));
	json_member_value(t, "level", json_get(i, "level"));
	json_member_value(t, "status", json_get(i, "status"));
	json_member_integer(t, "eventCount", json_get(i, "count"));
	json_member_integer(t, "userCount", json_get(i, "userCount"));
	json_member_value(t, "firstSeen", json_get(i, "firstSeen"));
	json_member_value(t, "lastSeen", json_get(i, "lastSeen"));
	metadata_of_error(t, f, json_get(i, "metadata"),
	    json_get(i, "culprit"));
	metadata_release_from(t, f);
	for (size_t k = 0; k < sizeof(more) / sizeof(more[0]); k++)
		json_member_extra(t, more[k], json_get(i, more[k]));
	json_member_extra(t, "resolutionType",
	    json_get(f->data, "resolution_type"));
}

const struct resource resource_issue = {
	.name = "issue",
	.members = { "issue" },
	.object = true,
	.guessed = true,
	.needs_release = true,
	.actions = "created resolved assigned ignored archived unresolved",
	.find = issue_find,
	.number = issue_number,
	.key = issue_key,
	.occurred = issue_occurred,
	.title = issue_title,
	.body = issue_body,
	.metadata = issue_metadata,
};
