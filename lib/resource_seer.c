/* Sentry's agent Seer: root cause, solution, code, pull requests. The shapes
 * of 2025 and of 2026 differ; both are read. */
#include "dedupe_key.h"
#include "lines.h"
#include "member.h"
#include "metadata.h"
#include "pull_request.h"
#include "resource.h"
#include "title.h"

static void
find(struct facts *f)
{
	facts_of_issue(f);
	f->pulls = f->data;
}

static struct span
number(const struct facts *f)
{
	return json_get_scalar(f->data, "run_id");
}

static bool
key(struct text *t, const struct facts *f)
{
	return dedupe_key_of_body(t, f, number(f));
}

/* A list of texts, or of objects of which one member is the text. */
static void
list_lines(struct text *t, struct json list, const char *member)
{
	for (size_t i = 0; i < json_count(list); i++)
		line_filled(t, "- ", member == NULL ?
		    json_scalar(json_at(list, i)) :
		    json_get_scalar(json_at(list, i), member), "");
}

/* `- REPOSITORY: PATH (+ADDED -REMOVED)` */
static void
change_line(struct text *t, struct span repository, struct json change)
{
	struct span path = json_get_scalar(change, "path");
	struct span added = json_get_scalar(change, "added");
	struct span removed = json_get_scalar(change, "removed");

	if (path.len == 0)
		return;
	line_pair(t, "- ", repository, path);
	if (added.len == 0 || removed.len == 0)
		return;
	text_str(t, " (+");
	text_span(t, added);
	text_str(t, " -");
	text_span(t, removed);
	text_str(t, ")");
}

static void
code_lines(struct text *t, const struct facts *f)
{
	struct json code = json_get(f->data, "code_changes");
	struct json changes = json_get(f->data, "changes"), list;
	struct span repository;
	const void *at = NULL;

	while (json_next(code, &at, &repository, &list))
		for (size_t i = 0; i < json_count(list); i++)
			change_line(t, repository, json_at(list, i));
	for (size_t i = 0; i < json_count(changes); i++) {
		struct json c = json_at(changes, i);

		line_pair(t, "- ", json_get_scalar(c, "repo_name"),
		    json_get_scalar(c, "title"));
	}
}

static void
body(struct text *t, const struct facts *f)
{
	struct json cause = json_get(f->data, "root_cause");
	struct json solution = json_get(f->data, "solution");

	line_filled(t, "**Seer**: ", f->action, "");
	line_filled(t, "**Iteration**: ",
	    json_get_scalar(f->data, "iteration_index"), "");
	line_filled(t, "\n**Root cause**: ", facts_either(cause,
	    "one_line_description", "description"), "");
	list_lines(t, json_get(cause, "five_whys"), NULL);
	list_lines(t, json_get(cause, "steps"), "title");
	line_filled(t, "\n**Solution**: ", facts_either(solution,
	    "one_line_summary", "description"), "");
	list_lines(t, json_get(solution, "steps"), "title");
	code_lines(t, f);
	pull_request_lines(t, f);
}

static void
metadata(struct text *t, const struct facts *f)
{
	metadata_ids(t, f);
	member_extra(t, "iteration", json_get(f->data, "iteration_index"));
}

const struct resource resource_seer = {
	.name = "seer",
	.members = { "run_id", "group_id" },
	.actions = "",
	.find = find,
	.number = number,
	.key = key,
	.title = title_add_found,
	.body = body,
	.metadata = metadata,
};
