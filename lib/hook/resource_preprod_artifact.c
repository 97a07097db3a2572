/* Builds of mobile applications: their size, their distribution. For some weeks
 * of 2026 sizes were a resource of their own, with shorter names. */
#include "hook/dedupe_key.h"
#include "hook/body_line.h"
#include "base/json_member.h"
#include "hook/metadata.h"
#include "hook/pull_request.h"
#include "hook/resource.h"
#include "hook/title.h"

static struct json
object_of(struct json v, const char *name, const char *shorter)
{
	struct json o = json_get(v, name);

	return o.kind == JSON_OBJECT ? o : json_get(v, shorter);
}

static struct json
app(const struct facts *f)
{
	return object_of(f->data, "appInfo", "app");
}

static struct span
state(const struct facts *f)
{
	return facts_either(f->data, "state", "status");
}

static void
find(struct facts *f)
{
	facts_of_issue(f);
	f->git = object_of(f->data, "gitInfo", "git");
	f->commit = json_get_scalar(f->git, "headSha");
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
	struct text says = { 0 };

	build(&says, f);
	if (says.len > 0 && state(f).len > 0)
		text_str(&says, ": ");
	text_span(&says, state(f));
	title_add_plain(t, f, span_filled(text_view(&says)));
	t->broken |= says.broken;
	text_release(&says);
}

static void
build_line(struct text *t, const struct facts *f)
{
	struct span nth = json_get_scalar(app(f), "buildNumber");
	struct text name = { 0 };

	build(&name, f);
	body_line_add_filled(t, "**Build**: ", text_view(&name), "");
	if (name.len > 0 && nth.len > 0) {
		text_str(t, " (");
		text_span(t, nth);
		text_str(t, ")");
	}
	t->broken |= name.broken;
	text_release(&name);
}

/* `, WHAT: BASE to HEAD bytes` */
static void
growth(struct text *t, const char *what, struct span base, struct span head)
{
	if (base.len == 0 || head.len == 0)
		return;
	text_str(t, what);
	text_span(t, base);
	text_str(t, " to ");
	text_span(t, head);
	text_str(t, " bytes");
}

/* `- comparison of TYPE: STATE: CODE: MESSAGE`, and by how much it grew. */
static void
comparison_line(struct text *t, struct json c)
{
	struct span kind = json_get_scalar(c, "metricsArtifactType");
	struct json diff = json_get(c, "sizeMetricDiff");
	const struct span parts[] = { facts_either(c, "state", "status"),
		json_get_scalar(c, "errorCode"),
		json_get_scalar(c, "errorMessage") };

	if (c.kind != JSON_OBJECT)
		return;
	body_line_add(
	    t, "- comparison", span_of(kind.len > 0 ? " of " : ""), "");
	text_span(t, kind);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (parts[i].len > 0) {
			text_str(t, ": ");
			text_span(t, parts[i]);
		}
	growth(t, ", download: ", json_get_scalar(diff, "baseDownloadSize"),
	    json_get_scalar(diff, "headDownloadSize"));
	growth(t, ", installed: ", json_get_scalar(diff, "baseInstallSize"),
	    json_get_scalar(diff, "headInstallSize"));
}

static void
body(struct text *t, const struct facts *f)
{
	struct json d = f->data, comparisons = json_get(d, "comparisons");

	build_line(t, f);
	body_line_add_filled(t, "**State**: ", state(f), "");
	body_line_add_pair(t, "**Failure**: ", json_get_scalar(d, "errorCode"),
	    json_get_scalar(d, "errorMessage"));
	body_line_add_filled(
	    t, "**Platform**: ", json_get_scalar(d, "platform"), "");
	body_line_add_filled(t, "**Download size**: ",
	    json_get_scalar(d, "downloadSize"), " bytes");
	body_line_add_filled(t, "**Install size**: ",
	    json_get_scalar(d, "installSize"), " bytes");
	body_line_add_filled(t, "**Installable**: ",
	    json_get_scalar(d, "isInstallable"), "");
	body_line_add_filled(t, "**Code signature valid**: ",
	    json_get_scalar(d, "isCodeSignatureValid"), "");
	body_line_add_filled(
	    t, "**Install**: ", json_get_scalar(d, "installUrl"), "");
	for (size_t i = 0; i < json_count(comparisons); i++)
		comparison_line(t, json_at(comparisons, i));
	comparison_line(t, json_get(d, "comparison"));
	body_line_add_filled(t, "\n**Commit**: ", f->commit, "");
	body_line_add_filled(
	    t, "**Branch**: ", json_get_scalar(f->git, "headRef"), "");
	pull_request_lines(t, f);
}

static void
metadata(struct text *t, const struct facts *f)
{
	metadata_ids(t, f);
	json_member_string(t, "state", span_filled(state(f)));
	metadata_texts(t, f->data, (const char *const[]){ "errorCode",
	    "errorCode", "errorMessage", "errorMessage", "platform",
	    "platform", NULL });
	metadata_texts(t, app(f), (const char *const[]){ "appName", "name",
	    "appVersion", "version", NULL });
}

#define BUILD(called) { \
	.name = (called), .members = { "buildId" }, .actions = "", \
	.find = find, .number = number, .key = key, \
	.title = title, .body = body, .metadata = metadata, \
}
const struct resource resource_preprod_artifact = BUILD("preprod_artifact");
const struct resource resource_size_analysis = BUILD("size_analysis");
