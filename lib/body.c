#include "body.h"

#include "title.h"

#define TOP_FRAMES	3

/* Starts a line; nothing stands before the first one. */
static void
line(struct text *t)
{
	if (t->len > 0)
		text_str(t, "\n");
}

/* A line `label + value + behind`, where there is a value. */
static void
labelled(struct text *t, const char *label, struct span value,
    const char *behind)
{
	if (value.at == NULL)
		return;
	line(t);
	text_str(t, label);
	text_span(t, value);
	text_str(t, behind);
}

/* "**TypeError**: it is not a function" */
static void
error_line(struct text *t, struct span type, struct span value)
{
	line(t);
	text_str(t, "**");
	text_span(t, type);
	text_str(t, "**");
	if (value.at != NULL) {
		text_str(t, ": ");
		text_span(t, value);
	}
}

static void
what_happened(struct text *t, const struct subject *s)
{
	struct json thing = s->plan ? s->issue : s->event;
	struct json meta = json_get(thing, "metadata");
	struct json type = json_get(meta, "type");
	struct json value = json_get(meta, "value");
	struct json title = json_get(thing, "title");

	if (!s->plan && !json_truthy(type)) {
		type = json_get(subject_raised(s), "type");
		value = json_get(subject_raised(s), "value");
	}
	if (json_truthy(type) && json_scalar(type).at != NULL)
		error_line(t, json_scalar(type),
		    subject_shows(s, json_nullish(value) ? title : value));
	else
		labelled(t, "**Error**: ", subject_shows(s, title), "");
}

static struct span
frame_file(const struct subject *s, struct json frame)
{
	static const char *const names[] = { "filename", "abs_path",
	    "module" };
	struct span file;

	if (s->plan) {
		file = subject_shown(s, frame, "filename");
		return file.at != NULL ? file : span_of("?");
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if ((file = json_scalar(json_get(frame, names[i]))).at != NULL)
			return file;
	return span_of("?");
}

static void
frame_line(struct text *t, const struct subject *s, struct json frame)
{
	struct span function = json_get_scalar(frame, "function");
	struct span lineno = subject_shown(s, frame, "lineno");

	labelled(t, "- `", function.at == NULL ?
	    span_of("(anonymous)") : function, "` at `");
	text_span(t, frame_file(s, frame));
	if (lineno.at != NULL) {
		text_str(t, ":");
		text_span(t, lineno);
	}
	text_str(t, "`");
}

static bool
in_app(struct json frame)
{
	struct json v = json_get(frame, "in_app");

	return json_truthy(json_nullish(v) ? json_get(frame, "inApp") : v);
}

/* The newest in-app frames, newest first: Sentry has the crash last. */
static void
stack_trace(struct text *t, const struct subject *s)
{
	static const char heading[] = "\n**Stack Trace** (top frames):";
	struct json frames = json_get(json_get(subject_raised(s),
	    "stacktrace"), "frames");
	size_t i, shown_frames = 0;

	if (s->plan && json_count(frames) > 0)
		labelled(t, heading, span_of(""), "");
	for (i = json_count(frames); i > 0 && shown_frames < TOP_FRAMES; i--) {
		if (!in_app(json_at(frames, i - 1)))
			continue;
		if (!s->plan && shown_frames == 0)
			labelled(t, heading, span_of(""), "");
		frame_line(t, s, json_at(frames, i - 1));
		shown_frames++;
	}
}

static void
location(struct text *t, struct json thing)
{
	struct json culprit = json_get(thing, "culprit");

	if (json_truthy(culprit))
		labelled(t, "\n**Location**: `", json_scalar(culprit), "`");
}

static void
counts(struct text *t, const struct subject *s)
{
	struct span count = subject_shown(s, s->issue, "count");
	struct span users = subject_shown(s, s->issue, "userCount");

	if (count.at == NULL || users.at == NULL)
		return;
	labelled(t, "\n**Occurrences**: ", count, " events affecting ");
	text_span(t, users);
	text_str(t, " users");
}

static void
issue_body(struct text *t, const struct subject *s)
{
	what_happened(t, s);
	location(t, s->issue);
	counts(t, s);
	labelled(t, "**First seen**: ",
	    subject_shown(s, s->issue, "firstSeen"), "");
	labelled(t, "**Last seen**: ",
	    subject_shown(s, s->issue, "lastSeen"), "");
	labelled(t, "\n**Release**: ", s->release, "");
	if (json_truthy(json_get(s->event, "environment")))
		labelled(t, "**Environment**: ", s->environment, "");
	stack_trace(t, s);
	labelled(t, "\n**Platform**: ",
	    subject_shown(s, s->issue, "platform"), "");
}

static void
event_body(struct text *t, const struct subject *s)
{
	labelled(t, "**Rule**: ", span_filled(s->rule), "");
	what_happened(t, s);
	location(t, s->event);
	labelled(t, "\n**Release**: ", s->release, "");
	labelled(t, "**Environment**: ", span_filled(s->environment), "");
	stack_trace(t, s);
	labelled(t, "\n**Platform**: ",
	    span_filled(subject_shown(s, s->event, "platform")), "");
}

static void
metric_body(struct text *t, const struct subject *s)
{
	struct json rule = json_get(s->alert, "alert_rule");
	struct json projects = json_get(s->alert, "projects");
	struct span text = json_get_scalar(s->data, "description_text");
	const char *sep = "\n**Projects**: ";

	labelled(t, "**Metric alert**: ",
	    text.len > 0 ? text : title_of_metric(s), "");
	labelled(t, "\n**Rule**: ", span_filled(s->rule), "");
	labelled(t, "**Aggregate**: ",
	    span_filled(json_get_scalar(rule, "aggregate")), "");
	labelled(t, "**Query**: ",
	    span_filled(json_get_scalar(rule, "query")), "");
	labelled(t, "**Time window**: ",
	    span_filled(json_get_scalar(rule, "time_window")), " minutes");
	for (size_t i = 0; i < json_count(projects); i++) {
		struct span slug = json_scalar(json_at(projects, i));

		if (slug.len == 0)
			continue;
		if (*sep == '\n')
			line(t);
		text_str(t, sep);
		text_span(t, slug);
		sep = ", ";
	}
}

/* Never `code`: it is a secret, an OAuth grant. */
static void
installation_body(struct text *t, const struct subject *s)
{
	struct json i = json_get(s->data, "installation");

	labelled(t, "**Organization**: ", json_scalar(json_get(json_get(i,
	    "organization"), "slug")), "");
	labelled(t, "**App**: ", json_scalar(json_get(json_get(i, "app"),
	    "slug")), "");
	labelled(t, "**Status**: ", json_get_scalar(i, "status"), "");
}

void
body_of(struct text *t, const struct subject *s)
{
	size_t fit;

	switch (s->resource) {
	case RESOURCE_ISSUE:
		issue_body(t, s);
		break;
	case RESOURCE_ERROR:
	case RESOURCE_EVENT_ALERT:
		event_body(t, s);
		break;
	case RESOURCE_METRIC_ALERT:
		metric_body(t, s);
		break;
	case RESOURCE_COMMENT:
		text_span(t, json_get_scalar(s->data, "comment"));
		break;
	case RESOURCE_INSTALLATION:
		installation_body(t, s);
		break;
	case RESOURCE_ACTIVITY_ALERT:
	case RESOURCE_SEER:
	case RESOURCE_PREPROD_ARTIFACT:
	case RESOURCE_OTHER:
		text_span(t, title_best(s));
		break;
	}
	fit = text_fit_bytes(text_view(t), BODY_MAX);
	if (fit < t->len) {
		t->len = fit;
		text_str(t, TEXT_ELLIPSIS);
	}
}
