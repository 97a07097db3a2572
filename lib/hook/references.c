#include "hook/references.h"

#include "base/ascii.h"
#include "base/json_member.h"
#include "hook/pull_request.h"
#include "hook/resource.h"

#define SHA_HEX	40	/* hex digits of a commit */

static void
open_reference(struct text *t, const char *type)
{
	if (t->len > 0 && t->at[t->len - 1] != '[')
		text_str(t, ",");
	text_str(t, "{");
	json_member_string(t, "type", span_of(type));
}

static void
add_reference(struct text *t, const char *type, struct span what)
{
	if (what.len == 0)
		return;
	open_reference(t, type);
	json_member_string(t, "id", what);
	text_str(t, "}");
}

/* The 40 hex digits of a commit that a release consists of, or ends with behind
 * @ or +. Deployments are found by the commit that they were built from. */
static struct span
commit_in_release(struct span release)
{
	struct span sha;

	if (release.len < SHA_HEX)
		return SPAN_NONE;
	sha = span_behind(release, release.len - SHA_HEX);
	for (size_t i = 0; i < sha.len; i++)
		if (ascii_hex_value(sha.at[i]) < 0)
			return SPAN_NONE;
	if (release.len > SHA_HEX && sha.at[-1] != '@' && sha.at[-1] != '+')
		return SPAN_NONE;
	return sha;
}

static void
add_assignee_reference(struct text *t, struct json to)
{
	if (to.kind != JSON_OBJECT)
		return;
	open_reference(t, "assignee");
	json_member_id(t, "id", json_get(to, "id"));
	text_str(t, "}");
}

static void
add_issue_reference(struct text *t, const struct facts *f)
{
	struct json i = f->issue;

	if (f->resource->is_event || i.kind != JSON_OBJECT) {
		if (f->issue_id.len == 0)
			return;
		open_reference(t, "sentry_issue");
		json_member_string(t, "id", f->issue_id);
		json_member_string(t, "url", f->url);
	} else {
		open_reference(t, "sentry_issue");
		json_member_id(t, "id", json_get(i, "shortId"));
		json_member_string(t, "url", f->url);
	}
	text_str(t, "}");
}

/* Appends the URL of a commit. Where Sentry has none, it is built for GitHub
 * and GitLab, whose paths of commits are the same. */
static void
add_commit_url(struct text *t, struct json commit)
{
	struct json repository = json_get(commit, "repository");
	struct json provider = json_get(repository, "provider");
	struct span by = json_scalar(provider);
	struct span url = json_get_scalar(commit, "url");
	struct text built = { 0 };

	if (provider.kind == JSON_OBJECT)
		by = json_get_scalar(provider, "id");
	if (url.len == 0 && by.at != NULL &&
	    (memmem(by.at, by.len, "github", 6) != NULL ||
	    memmem(by.at, by.len, "gitlab", 6) != NULL)) {
		url = json_string(json_get(repository, "url"));
		if (url.len > 4 && memcmp(url.at, "http", 4) == 0) {
			text_span(&built, url);
			text_str(&built, "/commit/");
			text_span(&built, json_get_scalar(commit, "id"));
		}
		url = text_view(&built);
	}
	if (url.len > 0)
		json_member_string(t, "url", url);
	t->broken |= built.broken;
	text_release(&built);
}

static void
add_resolution(struct text *t, const struct facts *f)
{
	struct json details = json_get(f->issue, "statusDetails");
	struct json commit = json_get(details, "inCommit");
	struct span sha = commit.kind == JSON_OBJECT ?
	    json_get_scalar(commit, "id") : json_string(commit);

	add_reference(t, "resolved_in_release",
	    json_get_scalar(details, "inRelease"));
	if (sha.len == 0)
		return;
	open_reference(t, "resolved_in_commit");
	json_member_string(t, "id", sha);
	add_commit_url(t, commit);
	text_str(t, "}");
}

static void
add_pull_request_references(struct text *t, const struct facts *f)
{
	struct pull_request found[PULL_REQUESTS_MAX];
	size_t n = pull_request_find_all(f, found, PULL_REQUESTS_MAX);

	for (size_t i = 0; i < n; i++) {
		struct text url = { 0 };

		open_reference(t, "pull_request");
		json_member_string(t, "id", pull_request_id(&found[i]));
		pull_request_url(&url, &found[i]);
		if (url.len > 0)
			json_member_string(t, "url", text_view(&url));
		text_str(t, "}");
		t->broken |= url.broken;
		text_release(&url);
	}
}

void
references_add(struct text *t, const struct facts *f)
{
	json_member(t, "references");
	text_str(t, "[");
	add_reference(t, "release", f->release);
	add_assignee_reference(t, f->assignee);
	add_issue_reference(t, f);
	add_reference(t, "commit", f->commit.len > 0 ? f->commit :
	    commit_in_release(f->release));
	add_resolution(t, f);
	add_reference(t, "project", facts_first(f->project_slug,
	    f->project_id));
	add_reference(t, "alert_rule", facts_first(f->rule, f->rule_id));
	add_pull_request_references(t, f);
	text_str(t, "]");
}
