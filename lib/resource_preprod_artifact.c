/* Builds of mobile applications: their size, their distribution. */
#include "dedupe_key.h"
#include "lines.h"
#include "metadata.h"
#include "pull_request.h"
#include "resource.h"
#include "title.h"

static struct json
app(const struct facts *f)
{
	return json_get(f->data, "appInfo");
}

static struct json
git(const struct facts *f)
{
	return json_get(f->data, "gitInfo");
}

static void
find(struct facts *f)
{
	facts_of_issue(f);
	f->commit = json_get_scalar(git(f), "headSha");
	f->pull_number = json_get_scalar(git(f), "prNumber");
}

static struct span
number(const struct facts *f)
{
	return json_get_scalar(f->data, "buildId");
}

static bool
key(struct text *t, const struct facts *f)
{
	return dedupe_key_of_body(t, f, number(f));
}

/* The application and its version. */
static void
build(struct text *t, const struct facts *f)
{
	struct span version = json_get_scalar(app(f), "version");

	text_span(t, facts_first(facts_either(app(f), "name", "appId"),
	    json_get_scalar(f->data, "projectSlug")));
	if (version.len == 0)
		return;
	if (t->len > 0)
		text_str(t, " ");
	text_span(t, version);
}

static void
title(struct text *t, const struct facts *f)
{
	struct span state = json_get_scalar(f->data, "state");
	struct text says = { 0 };

	build(&says, f);
	if (says.len > 0 && state.len > 0)
		text_str(&says, ": ");
	text_span(&says, state);
	title_add_plain(t, f, span_filled(text_view(&says)));
	t->broken |= says.broken;
	text_release(&says);
}

static void
body(struct text *t, const struct facts *f)
{
	struct span nth = json_get_scalar(app(f), "buildNumber");
	struct json d = f->data;
	struct text name = { 0 };

	build(&name, f);
	line_filled(t, "**Build**: ", text_view(&name), "");
	if (name.len > 0 && nth.len > 0) {
		text_str(t, " (");
		text_span(t, nth);
		text_str(t, ")");
	}
	t->broken |= name.broken;
	text_release(&name);
	line_filled(t, "**State**: ", json_get_scalar(d, "state"), "");
	line_pair(t, "**Failure**: ", json_get_scalar(d, "errorCode"),
	    json_get_scalar(d, "errorMessage"));
	line_filled(t, "**Platform**: ", json_get_scalar(d, "platform"), "");
	line_filled(t, "**Download size**: ",
	    json_get_scalar(d, "downloadSize"), " bytes");
	line_filled(t, "**Install size**: ",
	    json_get_scalar(d, "installSize"), " bytes");
	line_filled(t, "**Install**: ", json_get_scalar(d, "installUrl"), "");
	line_filled(t, "\n**Commit**: ", f->commit, "");
	line_filled(t, "**Branch**: ", json_get_scalar(git(f), "headRef"), "");
	pull_request_lines(t, f);
}

static void
metadata(struct text *t, const struct facts *f)
{
	metadata_ids(t, f);
	metadata_texts(t, f->data, (const char *const[]){ "state", "state",
	    "errorCode", "errorCode", "errorMessage", "errorMessage",
	    "platform", "platform", NULL });
	metadata_texts(t, app(f), (const char *const[]){ "appName", "name",
	    "appVersion", "version", NULL });
}

const struct resource resource_preprod_artifact = {
	.name = "preprod_artifact",
	.members = { "buildId" },
	.actions = "",
	.find = find,
	.number = number,
	.key = key,
	.title = title,
	.body = body,
	.metadata = metadata,
};
