#include "hook/facts.h"

#include "base/ascii.h"

struct span
facts_first(struct span a, struct span b)
{
	return a.len > 0 ? a : span_filled(b);
}

struct span
facts_either(struct json v, const char *a, const char *b)
{
	return facts_first(json_get_scalar(v, a), json_get_scalar(v, b));
}

/* The value of a tag: [[k, v]], [{key, value}] or {k: v}. */
static struct span
event_tag(struct json event, const char *name)
{
	struct json tags = json_get(event, "tags");

	if (tags.kind == JSON_OBJECT)
		return json_get_scalar(tags, name);
	for (size_t i = 0; i < json_count(tags); i++) {
		struct json t = json_at(tags, i);

		if (span_is(json_string(json_at(t, 0)), name))
			return json_scalar(json_at(t, 1));
		if (span_is(json_string(json_get(t, "key")), name))
			return json_get_scalar(t, "value");
	}
	return SPAN_NONE;
}

struct span
facts_release(struct json event)
{
	struct json v = json_get(event, "release");
	struct json version = json_get(v, "version");
	struct span r = json_string(v);

	if (json_truthy(version))
		r = facts_first(r, json_scalar(version));
	r = facts_first(r, event_tag(event, "release"));
	r = facts_first(r, event_tag(event, "sentry:release"));
	return span_filled(r);
}

static struct span
text_behind(struct span in, const char *what)
{
	size_t n = strlen(what);
	const char *at = in.at == NULL ? NULL :
	    memmem(in.at, in.len, what, n);

	if (at == NULL)
		return SPAN_NONE;
	return span_behind(in, (size_t)(at - in.at) + n);
}

static struct span
up_to_slash(struct span s)
{
	const char *slash = s.at == NULL ? NULL : memchr(s.at, '/', s.len);

	return slash == NULL ? s :
	    (struct span){ s.at, (size_t)(slash - s.at) };
}

/* The digits behind `/issues/`: older events name their issue in no other
 * way. */
static struct span
issue_in_url(struct span url)
{
	struct span id = text_behind(url, "/issues/");

	for (size_t i = 0; i < id.len; i++)
		if (!ascii_is_digit(id.at[i]))
			id.len = i;
	return span_filled(id);
}

/* SLUG in `/projects/ORG/SLUG/`: events have the slug of their project nowhere
 * else. */
static struct span
slug_in_url(struct span url)
{
	struct span rest = text_behind(url, "/projects/");
	struct span org = up_to_slash(rest);

	if (org.len == 0 || org.len == rest.len)
		return SPAN_NONE;
	return span_filled(up_to_slash(span_behind(rest, org.len + 1)));
}

/* The occurrence of an event that is no error. A null and an empty object are
 * none. */
static struct json
event_occurrence(struct json event)
{
	struct json v = json_get(event, "occurrence");
	struct json member;
	const void *at = NULL;
	struct span name;

	return json_next(v, &at, &name, &member) ? v : JSON_NONE;
}

/* The assignee of the issue. On `assigned` the issue may have lost its assignee
 * again, but `data.assignee` still tells who it was. */
static struct json
issue_assignee(const struct facts *f)
{
	struct json to = json_get(f->issue, "assignedTo");

	if (to.kind != JSON_OBJECT && span_is(f->action, "assigned"))
		to = json_get(f->data, "assignee");
	return to.kind == JSON_OBJECT ? to : JSON_NONE;
}

void
facts_start(struct facts *f, const struct resource *r, const struct hook *hook,
    struct json root, struct span name)
{
	*f = (struct facts){ .resource = r, .hook = hook, .name = name,
	    .root = root };
	f->action = json_string(json_get(root, "action"));
	f->actor = json_get(root, "actor");
	f->data = json_get(root, "data");
	f->issue = json_get(f->data, "issue");
	f->event = json_get(f->data, "event");
	f->assignee = issue_assignee(f);
}

void
facts_of_event(struct facts *f, struct json e)
{
	struct json project = json_get(e, "project");

	f->event = e;
	f->occurrence = event_occurrence(e);
	f->issue_id = facts_first(json_get_scalar(e, "issue_id"),
	    facts_first(issue_in_url(json_string(json_get(e, "issue_url"))),
	    issue_in_url(json_string(json_get(e, "web_url")))));
	f->project_id = project.kind == JSON_OBJECT ?
	    json_get_scalar(project, "id") : json_scalar(project);
	f->project_slug = facts_first(json_get_scalar(project, "slug"),
	    slug_in_url(json_string(json_get(e, "url"))));
	f->level = facts_first(json_get_scalar(e, "level"),
	    json_get_scalar(f->occurrence, "level"));
	f->release = facts_release(e);
	f->environment = facts_first(json_get_scalar(e, "environment"),
	    event_tag(e, "environment"));
	f->url = json_string(json_get(e, "web_url"));
}

/* The facts of a hook without an issue. */
static void
facts_of_data(struct facts *f)
{
	f->issue_id = facts_either(f->data, "issue_id", "group_id");
	f->project_id = facts_either(f->data, "projectId", "project_id");
	f->project_slug = facts_first(facts_either(f->data, "projectSlug",
	    "project_slug"), json_scalar(json_at(json_get(json_get(f->data,
	    "metric_alert"), "projects"), 0)));
}

void
facts_of_issue(struct facts *f)
{
	static const char *const links[] = { "permalink", "web_url",
	    "webUrl" };
	struct json i = f->issue, project = json_get(i, "project");

	if (i.kind != JSON_OBJECT) {
		facts_of_data(f);
		return;
	}
	f->issue_id = json_get_scalar(i, "id");
	f->short_id = json_get_scalar(i, "shortId");
	f->project_id = json_get_scalar(project, "id");
	f->project_slug = json_get_scalar(project, "slug");
	f->level = json_get_scalar(i, "level");
	for (size_t k = 0; k < sizeof(links) / sizeof(links[0]) &&
	    f->url.at == NULL; k++)
		f->url = json_string(json_get(i, links[k]));
}

struct span
facts_issue_number(const struct facts *f)
{
	return json_get_scalar(f->issue, "id");
}

struct span
facts_event_title(const struct facts *f)
{
	return facts_first(json_get_scalar(f->occurrence, "issueTitle"),
	    json_get_scalar(f->event, "title"));
}

bool
facts_date(struct timestamp *when, struct json v)
{
	if (v.kind == JSON_INT || v.kind == JSON_FLOAT)
		return timestamp_seconds(when, json_source(v));
	return timestamp_iso(when, json_string(v));
}

void
facts_sent(struct timestamp *when, const struct facts *f)
{
	if (!timestamp_seconds(when, f->hook->timestamp))
		(void)timestamp_ms(when, f->hook->received_at);
}

struct span
facts_text(const struct facts *f, struct json v)
{
	if (v.kind == JSON_NULL && f->prints_null)
		return span_of("null");
	return json_scalar(v);
}

struct span
facts_member_text(const struct facts *f, struct json v, const char *name)
{
	return facts_text(f, json_get(v, name));
}
