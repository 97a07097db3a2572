/* Builds of mobile applications: their size, their distribution. For some weeks
 * of 2026 Sentry sent sizes as a resource of their own, size_analysis, with
 * shorter names of members. */
#include "base/json_member.h"
#include "hook/body_line.h"
#include "hook/dedupe_key.h"
#include "hook/metadata.h"
#include "hook/pull_request.h"
#include "hook/resource.h"
#include "hook/title.h"

static struct json
object_by_names(struct json v, const char *name, const char *shorter)
{
	struct json o = json_get(v, name);

	return o.kind == JSON_OBJECT ? o : json_get(v, shorter);
}

static struct json
build_app(const struct facts *f)
{
	return object_by_names(f->data, "appInfo", "app");
}

static struct span
build_state(const struct facts *f)
{
	return facts_either(f->data, "state", "status");
}

static void
build_find(struct facts *f)
{
	facts_of_issue(f);
	f->git = object_by_names(f->data, "gitInfo", "git");
	f->commit = json_get_scalar(f->git, "headSha");
}

static struct span
build_number(const struct facts *f)
{
	return json_get_scalar(f->data, "buildId");
}

static bool
build_key(struct text *t, const struct facts *f)
{
	return dedupe_key_of_body(t, f, build_number(f));
}

/* Appends the name and the version of the application. */
static void
build_name(struct text *t, const struct facts *f)
{
	struct span version = json_get_scalar(build_app(f), "version");

	text_span(t, facts_first(facts_either(build_app(f), "name", "appId"),
	    json_get_scalar(f->data, "projectSlug")));
	if (version.len == 0)
		return;
	if (t->len > 0)
		text_str(t, " ");
	text_span(t, version);
}

static void
build_title(struct text *t, const struct facts *f)
{
	struct text says = { 0 };

	build_name(&says, f);
	if (says.len > 0 && build_state(f).len > 0)
		text_str(&says, ": ");
	text_span(&says, build_state(f));
	title_add_plain(t, f, span_filled(text_view(&says)));
	t->broken |= says.broken;
	text_release(&says);
}

static void
build_name_line(struct text *t, const struct facts *f)
{
	struct span nth = json_get_scalar(build_app(f), "buildNumber");
	struct text name = { 0 };

	build_name(&name, f);
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
build_growth(struct text *t, const char *what, struct span base,
    struct span head)
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
build_comparison_line(struct text *t, struct json c)
{
	struct span kind = json_get_scalar(c, "metricsArtifactType");
	struct json diff = json_get(c, "sizeMetricDiff");
	const struct span parts[] = { facts_either(c, "state", "status"),
		json_get_scalar(c, "errorCode"),
		json_get_scalar(c, "errorMessage") };

	if (c.kind != JSON_OBJECT)
		return;
	body_line_add(t, "- comparison", span_of(kind.len > 0 ? " of " : ""),
	    "");
	text_span(t, kind);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (parts[i].len > 0) {
			text_str(t, ": ");
			text_span(t, parts[i]);
		}
	build_growth(t, ", download: ",
	    json_get_scalar(diff, "baseDownloadSize"),
	    json_get_scalar(diff, "headDownloadSize"));
	build_growth(t, ", installed: ",
	    json_get_scalar(diff, "baseInstallSize"),
	    json_get_scalar(diff, "headInstallSize"));
}

static void
build_body(struct text *t, const struct facts *f)
{
	struct json d = f->data, comparisons = json_get(d, "comparisons");

	build_name_line(t, f);
	body_line_add_filled(t, "**State**: ", build_state(f), "");
	body_line_add_pair(t, "**Failure**: ", json_get_scalar(d, "errorCode"),
	    json_get_scalar(d, "errorMessage"));
	body_line_add_member(t, "**Platform**: ", d, "platform");
	body_line_add_filled(t, "**Download size**: ",
	    json_get_scalar(d, "downloadSize"), " bytes");
	body_line_add_filled(t, "**Install size**: ",
	    json_get_scalar(d, "installSize"), " bytes");
	body_line_add_member(t, "**Installable**: ", d, "isInstallable");
	body_line_add_member(t, "**Code signature valid**: ", d,
	    "isCodeSignatureValid");
	body_line_add_member(t, "**Install**: ", d, "installUrl");
	for (size_t i = 0; i < json_count(comparisons); i++)
		build_comparison_line(t, json_at(comparisons, i));
	build_comparison_line(t, json_get(d, "comparison"));
	body_line_add_filled(t, "\n**Commit**: ", f->commit, "");
	body_line_add_member(t, "**Branch**: ", f->git, "headRef");
	pull_request_lines(t, f);
}

static void
build_metadata(struct text *t, const struct facts *f)
{
	metadata_ids(t, f);
	json_member_string(t, "state", span_filled(build_state(f)));
	metadata_texts(t, f->data, (const char *const[]){ "errorCode",
	    "errorCode", "errorMessage", "errorMessage", "platform",
	    "platform", NULL });
	metadata_texts(t, build_app(f), (const char *const[]){ "appName",
	    "name", "appVersion", "version", NULL });
}

#define BUILD(called) { \
	.name = (called), .members = { "buildId" }, .actions = "", \
	.find = build_find, .number = build_number, .key = build_key, \
	.title = build_title, .body = build_body, .metadata = build_metadata, \
}
const struct resource resource_preprod_artifact = BUILD("preprod_artifact");
const struct resource resource_size_analysis = BUILD("size_analysis");
