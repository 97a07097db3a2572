#include "hook/metadata.h"

#include "base/json_member.h"
#include "hook/body_line.h"
#include "hook/frames.h"

static void
metadata_error_value(struct text *t, struct json v)
{
	struct span s = json_string(v);
	size_t fit = text_fit_bytes(s, MESSAGE_MAX);

	if (fit == s.len) {
		json_member_value_or_null(t, "errorValue", v);
		return;
	}
	json_member(t, "errorValue");
	text_str(t, "\"");
	text_escaped(t, (struct span){ s.at, fit });
	text_str(t, TEXT_ELLIPSIS "\"");
}

void
metadata_of_error(struct text *t, const struct facts *f, struct json error,
    struct json culprit)
{
	json_member(t, "release");
	if (f->release.len > 0)
		text_json(t, f->release);
	else	/* As `version ?? null` in TypeScript: "" stays "". */
		text_str(t, f->prints_null && json_string(json_get(json_get(
		    f->event, "release"), "version")).at != NULL ? "\"\"" :
		    "null");
	if (f->prints_null)
		json_member_value_or_null(t, "environment",
		    json_get(f->event, "environment"));
	else
		json_member_or_null(t, "environment", f->environment);
	json_member_value_or_null(t, "errorType", json_get(error, "type"));
	metadata_error_value(t, json_get(error, "value"));
	if (f->prints_null)
		json_member_value(t, "culprit", culprit);
	else
		json_member_extra(t, "culprit", culprit);
	json_member(t, "hasStackTrace");
	text_str(t, frames_exist(f) ? "true" : "false");
}

void
metadata_release_from(struct text *t, const struct facts *f)
{
	if (f->release.len > 0)
		json_member_string(t, "releaseFrom",
		    span_of(f->learned ? "issue" : "event"));
}

void
metadata_ids(struct text *t, const struct facts *f)
{
	json_member_string(t, "issueId", f->issue_id);
	json_member_string(t, "shortId", f->short_id);
	json_member_string(t, "permalink", f->url);
	json_member_string(t, "projectSlug", f->project_slug);
	json_member_string(t, "projectId", f->project_id);
	json_member_string(t, "level", f->level);
	metadata_texts(t, f->data, (const char *const[]){ "groupId",
	    "group_id", "runId", "run_id", "buildId", "buildId", NULL });
}

void
metadata_texts(struct text *t, struct json v, const char *const names[])
{
	for (; names[0] != NULL; names += 2)
		json_member_string(t, names[0], json_get_scalar(v, names[1]));
}
