/* Hooks of Sentry's agent Seer: root cause, solution, code, pull requests.
 * Their shape of 2025 and that of 2026 differ; both are read. */
#include "base/json_member.h"
#include "hook/body_line.h"
#include "hook/dedupe_key.h"
#include "hook/metadata.h"
#include "hook/pull_request.h"
#include "hook/resource.h"
#include "hook/title.h"

static void
seer_find(struct facts *f)
{
	facts_of_issue(f);
	f->pulls = f->data;
}

static struct span
seer_number(const struct facts *f)
{
	return facts_first(json_get_scalar(f->data, "run_id"),
	    json_get_scalar(f->data, "sentry_run_id"));
}

static bool
seer_key(struct text *t, const struct facts *f)
{
	return dedupe_key_of_body(t, f, seer_number(f));
}

/* A list of texts, or of steps. */
static void
seer_list_lines(struct text *t, struct json list)
{
	for (size_t i = 0; i < json_count(list); i++) {
		struct json v = json_at(list, i);

		body_line_add_pair(t, "- ", facts_first(json_scalar(v),
		    json_get_scalar(v, "title")),
		    json_get_scalar(v, "description"));
	}
}

/* The changes of code in the shape of 2025. */
static void
seer_change_lines(struct text *t, struct json changes)
{
	for (size_t i = 0; i < json_count(changes); i++) {
		struct json c = json_at(changes, i);

		body_line_add_pair(t, "- ", json_get_scalar(c, "repo_name"),
		    json_get_scalar(c, "title"));
	}
}

static void
seer_body(struct text *t, const struct facts *f)
{
	struct json cause = json_get(f->data, "root_cause");
	struct json solution = json_get(f->data, "solution");
	struct json steps = json_get(cause, "reproduction_steps");

	body_line_add_filled(t, "**Seer**: ", f->action, "");
	body_line_add_member(t, "**Iteration**: ", f->data, "iteration_index");
	body_line_add_filled(t, "\n**Root cause**: ", facts_either(cause,
	    "one_line_description", "description"), "");
	seer_list_lines(t, json_get(cause, "five_whys"));
	seer_list_lines(t, json_get(cause, "steps"));
	if (json_count(steps) > 0)
		body_line_add(t, "\n**To reproduce**:", span_of(""), "");
	seer_list_lines(t, steps);
	body_line_add_member(t, "\n**Repository**: ", cause, "relevant_repo");
	body_line_add_filled(t, "\n**Solution**: ", facts_either(solution,
	    "one_line_summary", "description"), "");
	seer_list_lines(t, json_get(solution, "steps"));
	pull_request_code_change_lines(t, json_get(f->data, "code_changes"));
	seer_change_lines(t, json_get(f->data, "changes"));
	pull_request_lines(t, f);
}

static void
seer_metadata(struct text *t, const struct facts *f)
{
	metadata_ids(t, f);
	json_member_extra(t, "iteration", json_get(f->data, "iteration_index"));
}

const struct resource resource_seer = {
	.name = "seer",
	.members = { "run_id", "group_id" },
	.actions = "",
	.find = seer_find,
	.number = seer_number,
	.key = seer_key,
	.title = title_add_found,
	.body = seer_body,
	.metadata = seer_metadata,
};
