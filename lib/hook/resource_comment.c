/* Comments on issues. Their date is that of their creation, also when they are
 * edited or deleted. */
#include "hook/dedupe_key.h"
#include "base/json_member.h"
#include "hook/metadata.h"
#include "hook/resource.h"
#include "hook/title.h"

static struct span
number(const struct facts *f)
{
	return json_get_scalar(f->data, "comment_id");
}

static bool
key(struct text *t, const struct facts *f)
{
	return dedupe_key_of_body(t, f, number(f));
}

static struct span
first_line(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.at[i] == '\n' || s.at[i] == '\r')
			s.len = i;
	return span_filled(s);
}

static void
title(struct text *t, const struct facts *f)
{
	struct span says = first_line(json_get_scalar(f->data, "comment"));

	text_str(t, "\U0001F4AC [Comment]");
	if (span_is(f->action, "updated"))
		text_str(t, " Edited");
	else if (span_is(f->action, "deleted"))
		text_str(t, " Deleted");
	else if (says.at != NULL) {
		title_add(t, "", says);
		return;
	}
	title_add(t, says.at != NULL ? ":" : "", says);
}

static void
body(struct text *t, const struct facts *f)
{
	text_span(t, json_get_scalar(f->data, "comment"));
}

static void
metadata(struct text *t, const struct facts *f)
{
	json_member_string(t, "commentId", number(f));
	json_member_string(t, "issueId", f->issue_id);
	json_member_string(t, "projectSlug", f->project_slug);
	json_member_string(
	    t, "commentedAt", json_get_scalar(f->data, "timestamp"));
}

const struct resource resource_comment = {
	.name = "comment",
	.members = { "comment_id" },
	.guessed = true,
	.actions = "created updated deleted",
	.find = facts_of_issue,
	.number = number,
	.key = key,
	.title = title,
	.body = body,
	.metadata = metadata,
};
