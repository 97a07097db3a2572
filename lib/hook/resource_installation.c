/* The integration was installed in an organization, or removed. */
#include "hook/body_line.h"
#include "hook/dedupe_key.h"
#include "hook/metadata.h"
#include "hook/resource.h"
#include "hook/title.h"

static struct json
installation_object(const struct facts *f)
{
	return json_get(f->data, "installation");
}

static struct span
installation_app_slug(const struct facts *f)
{
	return json_get_scalar(json_get(installation_object(f), "app"), "slug");
}

static struct span
installation_number(const struct facts *f)
{
	return facts_first(json_get_scalar(installation_object(f), "uuid"),
	    dedupe_key_installation(f->root));
}

static bool
installation_key(struct text *t, const struct facts *f)
{
	if (f->action.len == 0 || installation_number(f).len == 0)
		return false;
	dedupe_key_part(t, "", f->action);
	dedupe_key_part(t, ":", installation_number(f));
	return true;
}

static void
installation_title(struct text *t, const struct facts *f)
{
	static const struct title_lead leads[] = {
		{ "created", "\U0001F50C [Installed]" },
		{ "deleted", "\U0001F50C [Uninstalled]" },
		{ NULL, NULL }
	};

	if (!title_add_by_action(t, f, leads,
	    span_filled(installation_app_slug(f))))
		title_add_found(t, f);
}

/* Never `code`: it is a secret, an OAuth grant. */
static void
installation_body(struct text *t, const struct facts *f)
{
	body_line_add_member(t, "**Organization**: ",
	    json_get(installation_object(f), "organization"), "slug");
	body_line_add_filled(t, "**App**: ", installation_app_slug(f), "");
	body_line_add_member(t, "**Status**: ", installation_object(f),
	    "status");
}

static void
installation_metadata(struct text *t, const struct facts *f)
{
	struct json i = installation_object(f);

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
	.number = installation_number,
	.key = installation_key,
	.title = installation_title,
	.body = installation_body,
	.metadata = installation_metadata,
};
