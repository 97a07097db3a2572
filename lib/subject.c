#include "subject.h"

static const struct span nothing = { NULL, 0 };

static struct span
or_else(struct span a, struct span b)
{
	return a.len > 0 ? a : b;
}

/* The value of a tag: [[k, v]], [{key, value}] or {k: v}. */
static struct span
tag(struct json event, const char *name)
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
	return nothing;
}

/* A string on the wire, an object in the plan, a tag where neither is. */
static struct span
release(struct json event)
{
	struct json v = json_get(event, "release");
	struct json version = json_get(v, "version");
	struct span r = json_string(v);

	if (json_truthy(version))
		r = or_else(r, json_scalar(version));
	r = or_else(r, tag(event, "release"));
	r = or_else(r, tag(event, "sentry:release"));
	return r.len > 0 ? r : nothing;
}

static struct span
find(struct span in, const char *what)
{
	size_t n = strlen(what);
	const char *at = in.at == NULL ? NULL :
	    memmem(in.at, in.len, what, n);

	if (at == NULL)
		return nothing;
	return (struct span){ at + n, in.len - (size_t)(at + n - in.at) };
}

static struct span
up_to_slash(struct span s)
{
	const char *slash = s.at == NULL ? NULL : memchr(s.at, '/', s.len);

	return slash == NULL ? s :
	    (struct span){ s.at, (size_t)(slash - s.at) };
}

/* The digits behind `/issues/`: older events name their issue only so. */
static struct span
issue_in_url(struct span url)
{
	struct span id = find(url, "/issues/");

	for (size_t i = 0; i < id.len; i++)
		if (id.at[i] < '0' || id.at[i] > '9')
			id.len = i;
	return id.len > 0 ? id : nothing;
}

/* SLUG in `/projects/ORG/SLUG/`: an event holds its project's number only. */
static struct span
slug_in_url(struct span url)
{
	struct span rest = find(url, "/projects/"), org = up_to_slash(rest);

	if (org.len == 0 || org.len == rest.len)
		return nothing;
	rest.at += org.len + 1;
	rest.len -= org.len + 1;
	return up_to_slash(rest).len > 0 ? up_to_slash(rest) : nothing;
}

static void
find_event(struct subject *s)
{
	struct json e = s->event, project = json_get(e, "project");

	s->issue_id = json_get_scalar(e, "issue_id");
	s->issue_id = or_else(s->issue_id,
	    issue_in_url(json_string(json_get(e, "issue_url"))));
	s->issue_id = or_else(s->issue_id,
	    issue_in_url(json_string(json_get(e, "web_url"))));
	s->project_id = project.kind == JSON_OBJECT ?
	    json_get_scalar(project, "id") : json_scalar(project);
	s->project_slug = json_get_scalar(project, "slug");
	s->project_slug = or_else(s->project_slug,
	    slug_in_url(json_string(json_get(e, "url"))));
	s->level = json_get_scalar(e, "level");
	s->environment = or_else(s->environment, tag(e, "environment"));
	s->url = json_string(json_get(e, "web_url"));
}

static void
find_issue(struct subject *s)
{
	struct json i = s->issue, project = json_get(i, "project");

	s->issue_id = json_get_scalar(i, "id");
	s->short_id = json_get_scalar(i, "shortId");
	s->project_id = json_get_scalar(project, "id");
	s->project_slug = json_get_scalar(project, "slug");
	s->level = json_get_scalar(i, "level");
	s->url = json_string(json_get(i, "permalink"));
	if (s->url.at == NULL)
		s->url = json_string(json_get(i, "web_url"));
}

static void
find_rest(struct subject *s)
{
	struct json d = s->data;

	s->issue_id = or_else(json_get_scalar(d, "issue_id"),
	    json_get_scalar(d, "group_id"));
	s->project_id = or_else(json_get_scalar(d, "projectId"),
	    json_get_scalar(d, "project_id"));
	s->project_slug = or_else(json_get_scalar(d, "projectSlug"),
	    json_get_scalar(d, "project_slug"));
	s->project_slug = or_else(s->project_slug,
	    json_scalar(json_at(json_get(s->alert, "projects"), 0)));
}

/* A date: ISO 8601, or a number that counts seconds. */
static bool
date(struct moment *m, struct json v)
{
	if (v.kind == JSON_INT || v.kind == JSON_FLOAT)
		return moment_seconds(m, json_source(v));
	return moment_iso(m, json_string(v));
}

void
subject_newest_date(struct moment *newest, struct json alert)
{
	static const char *const dates[] = { "date_started", "date_detected",
	    "date_created", "date_closed" };
	struct moment m;

	newest->iso[0] = '\0';
	for (size_t i = 0; i < sizeof(dates) / sizeof(dates[0]); i++)
		if (date(&m, json_get(alert, dates[i])) &&
		    moment_later(&m, newest))
			*newest = m;
}

static bool
occurred_in_body(struct moment *m, const struct subject *s)
{
	switch (s->resource) {
	case RESOURCE_ISSUE:
		return date(m, json_get(s->issue, "lastSeen"));
	case RESOURCE_ERROR:
	case RESOURCE_EVENT_ALERT:
		return date(m, json_get(s->event, "datetime")) ||
		    date(m, json_get(s->event, "timestamp")) ||
		    moment_seconds(m, json_string(json_get(s->event,
		    "timestamp")));
	case RESOURCE_METRIC_ALERT:
		subject_newest_date(m, s->alert);
		return m->iso[0] != '\0';
	case RESOURCE_COMMENT:		/* its date is its creation's, also
					 * when it is updated or deleted */
	case RESOURCE_INSTALLATION:
	case RESOURCE_ACTIVITY_ALERT:
	case RESOURCE_SEER:
	case RESOURCE_PREPROD_ARTIFACT:
	case RESOURCE_OTHER:
		break;
	}
	return false;
}

void
subject_find(struct subject *s, const struct hook *hook, struct json root,
    enum resource r, struct span name)
{
	*s = (struct subject){ .resource = r, .name = name };
	s->plan = r == RESOURCE_ISSUE;
	s->action = json_string(json_get(root, "action"));
	s->data = json_get(root, "data");
	s->issue = json_get(s->data, "issue");
	s->event = json_get(s->data, r == RESOURCE_ERROR ? "error" : "event");
	s->alert = json_get(s->data, "metric_alert");
	s->actor = json_get(root, "actor");
	s->environment = json_get_scalar(s->event, "environment");
	if (r == RESOURCE_ERROR || r == RESOURCE_EVENT_ALERT)
		find_event(s);
	else if (s->issue.kind == JSON_OBJECT)
		find_issue(s);
	else
		find_rest(s);
	if (s->plan || r == RESOURCE_ERROR || r == RESOURCE_EVENT_ALERT)
		s->release = release(s->event);
	if (r == RESOURCE_EVENT_ALERT)
		s->rule = json_string(json_get(s->data, "triggered_rule"));
	else if (r == RESOURCE_METRIC_ALERT)
		s->rule = json_get_scalar(json_get(s->alert, "alert_rule"),
		    "name");
	if (!occurred_in_body(&s->occurred, s) &&
	    !moment_seconds(&s->occurred, hook->timestamp))
		(void)moment_ms(&s->occurred, hook->received_at);
}

struct json
subject_raised(const struct subject *s)
{
	struct json values = json_get(json_get(s->event, "exception"),
	    "values");

	if (s->plan)
		return json_at(values, 0);
	for (size_t i = json_count(values); i > 0; i--) {
		struct json v = json_at(values, i - 1);

		if (json_count(json_get(json_get(v, "stacktrace"),
		    "frames")) > 0)
			return v;
	}
	return json_at(values, json_count(values) - 1);
}

struct span
subject_shows(const struct subject *s, struct json v)
{
	if (v.kind == JSON_NULL && s->plan)
		return span_of("null");
	return json_scalar(v);
}

struct span
subject_shown(const struct subject *s, struct json v, const char *name)
{
	return subject_shows(s, json_get(v, name));
}
