/* The integration was installed in an organization, or removed. */
#include "hook/dedupe_key.h"
#include "hook/body_line.h"
#include "hook/metadata.h"
#include "hook/resource.h"
#include "hook/title.h"

static struct json
installation(const struct facts *f)
{
	return json_get(f->data, "installation");
}

static struct span
app_slug(const struct facts *f)
{
	return json_get_scalar(json_get(installation(f), "app"), "slug");
}

static struct span
number(const struct facts *f)
{
	return facts_first(json_get_scalar(installation(f), "uuid"),
	    dedupe_key_installation(f->root));
}

static bool
key(struct text *t, const struct facts *f)
{
	if (f->action.len == 0 || number(f).len == 0)
		return false;
	dedupe_key_part(t, "", f->action);
	dedupe_key_part(t, ":", number(f));
	return true;
}

static void
title(struct text *t, const struct facts *f)
{
	static const struct title_lead leads[] = {
		{ "created", "\U0001F50C [Installed]" },
		{ "deleted", "\U0001F50C [Uninstalled]" },
		{ NULL, NULL }
	};

	if (!title_add_by_action(t, f, leads, span_filled(app_slug(f))))
		title_add_found(t, f);
}

/* Never `code`: it is a secret, an OAuth grant. */
static void
body(struct text *t, const struct facts *f)
{
	body_line_add_filled(t, "**Organization**: ", json_get_scalar(json_get(
	    installation(f), "organization"), "slug"), "");
	body_line_add_filled(t, "**App**: ", app_slug(f), "");
	body_line_add_filled(t, "**Status**: ",
	    json_get_scalar(installation(f), "status"), "");
}

static void
metadata(struct text *t, const struct facts *f)
{
	struct json i = installation(f);

	metadata_texts(t, i, (const char *const[]){ "installationId", "uuid",
	    "status", "status", NULL });
	metadata_texts(t, json_get(i, "organization"), (const char *const[]){
	    "organizationSlug", "slug", NULL });
	metadata_texts(t, json_get(i, "app"), (const char *const[]){
	    "appSlug", "slug", NULL });
}

const struct resource resource_installation = {
	.name = "installation",
	.members = { "installation" },
	.object = true,
	.guessed = true,
	.actions = "created deleted",
	.find = facts_of_issue,
	.number = number,
	.key = key,
	.title = title,
	.body = body,
	.metadata = metadata,
};
