/* Comments on issues. Their date stays that of their creation when they are
 * edited or deleted. */
#include "base/json_member.h"
#include "hook/dedupe_key.h"
#include "hook/metadata.h"
#include "hook/resource.h"
#include "hook/title.h"

static struct span
comment_number(const struct facts *f)
{
	return json_get_scalar(f->data, "comment_id");
}

static bool
comment_key(struct text *t, const struct facts *f)
{
	return dedupe_key_of_body(t, f, comment_number(f));
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
comment_title(struct text *t, const struct facts *f)
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
comment_body(struct text *t, const struct facts *f)
{
	text_span(t, json_get_scalar(f->data, "comment"));
}

static void
comment_metadata(struct text *t, const struct facts *f)
{
	json_member_string(t, "commentId", comment_number(f));
	json_member_string(t, "issueId", f->issue_id);
	json_member_string(t, "projectSlug", f->project_slug);
	metadata_texts(t, f->data, (const char *const[]){ "commentedAt",
	    "timestamp", NULL });
}

const struct resource resource_comment = {
	.name = "comment",
	.members = { "comment_id" },
	.guessed = true,
	.actions = "created updated deleted",
	.find = facts_of_issue,
	.number = comment_number,
	.key = comment_key,
	.title = comment_title,
	.body = comment_body,
	.metadata = comment_metadata,
};
