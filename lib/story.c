#include "story.h"

#define TOP_FRAMES	3

static const struct span nothing = { NULL, 0 };

/* What a template prints for a value: in the plan's own shape null is text,
 * as in JavaScript; elsewhere it is as good as missing. */
static struct span
shown(const struct subject *s, struct json v)
{
	if (v.kind == JSON_NULL && s->plan)
		return span_of("null");
	return json_scalar(v);
}

static struct span
shown_member(const struct subject *s, struct json v, const char *name)
{
	return shown(s, json_get(v, name));
}

static struct span
if_any(struct span s)
{
	return s.len > 0 ? s : nothing;
}

static const char *
level_emoji(struct span level)
{
	static const struct {
		const char *level, *emoji;
	} table[] = {
		{ "fatal", "\U0001F480" }, { "error", "\U0001F534" },
		{ "warning", "\U0001F7E1" }, { "info", "\U0001F535" },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (span_is(level, table[i].level))
			return table[i].emoji;
	return "\u26A0\uFE0F";
}

/* "[Label] " is part of the lead; a title that is not there leaves no space
 * behind it. */
static void
titled(struct text *t, const char *lead, struct span title)
{
	text_str(t, lead);
	if (title.at == NULL)
		return;
	text_str(t, " ");
	text_span(t, title);
}

static void
issue_title(struct text *t, const struct subject *s)
{
	static const struct {
		const char *action, *lead;
	} table[] = {
		{ "resolved", "\u2705 [Resolved]" },
		{ "assigned", "\U0001F464 [Assigned]" },
		{ "ignored", "\U0001F507 [Ignored]" },
		{ "archived", "\U0001F507 [Archived]" },
		{ "unresolved", "\U0001F504 [Reopened]" },
	};
	struct span title = shown_member(s, s->issue, "title");

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (span_is(s->action, table[i].action)) {
			titled(t, table[i].lead, title);
			return;
		}
	text_str(t, level_emoji(s->level));
	titled(t, span_is(s->action, "created") ? " [New Issue]" : "", title);
}

static void
event_title(struct text *t, const struct subject *s)
{
	text_str(t, level_emoji(s->level));
	if (s->resource == RESOURCE_ERROR) {
		text_str(t, " [Error]");
	} else {
		text_str(t, " [Alert]");
		if (s->rule.len > 0) {
			text_str(t, " ");
			text_span(t, s->rule);
			text_str(t, ":");
		}
	}
	titled(t, "", shown_member(s, s->event, "title"));
}

/* The first of many places that holds a title. */
static struct span
best_title(const struct subject *s)
{
	static const char *const places[][2] = {
		{ "issue", "title" }, { "event", "title" },
		{ "error", "title" }, { "description_title" },
		{ "metric_alert", "title" }, { "alert", "title" },
		{ "title" }, { "installation.app", "slug" },
		{ "appInfo", "name" },
		{ "root_cause", "one_line_description" },
		{ "solution", "one_line_summary" }, { "comment" },
	};

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		struct json v = json_get(s->data, places[i][0]);
		struct span title;

		if (strcmp(places[i][0], "installation.app") == 0)
			v = json_get(json_get(s->data, "installation"), "app");
		if (places[i][1] != NULL)
			v = json_get(v, places[i][1]);
		if ((title = json_scalar(v)).len > 0)
			return title;
	}
	return nothing;
}

static void
other_title(struct text *t, const struct subject *s)
{
	text_str(t, "\u26A0\uFE0F [");
	text_span(t, s->name);
	if (s->action.len > 0) {
		text_str(t, " ");
		text_span(t, s->action);
	}
	text_str(t, "]");
	titled(t, "", best_title(s));
}

/* A resource whose few actions have a lead each. */
static void
lead_title(struct text *t, const struct subject *s, struct span title)
{
	static const struct {
		enum resource	 resource;
		const char	*action, *lead;
	} table[] = {
		{ RESOURCE_METRIC_ALERT, "critical",
		    "\U0001F534 [Metric Alert Critical]" },
		{ RESOURCE_METRIC_ALERT, "warning",
		    "\U0001F7E1 [Metric Alert Warning]" },
		{ RESOURCE_METRIC_ALERT, "resolved",
		    "\u2705 [Metric Alert Resolved]" },
		{ RESOURCE_INSTALLATION, "created",
		    "\U0001F50C [Installed]" },
		{ RESOURCE_INSTALLATION, "deleted",
		    "\U0001F50C [Uninstalled]" },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (table[i].resource == s->resource &&
		    span_is(s->action, table[i].action)) {
			titled(t, table[i].lead, title);
			return;
		}
	other_title(t, s);
}

static struct span
first_line(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.at[i] == '\n' || s.at[i] == '\r')
			s.len = i;
	return s.len > 0 ? s : nothing;
}

static struct span
metric_title(const struct subject *s)
{
	struct span title = json_scalar(json_get(s->data,
	    "description_title"));

	if (title.len == 0)
		title = json_get_scalar(s->alert, "title");
	return title.len > 0 ? title : nothing;
}

void
story_title(struct text *t, const struct subject *s)
{
	size_t fit;

	switch (s->resource) {
	case RESOURCE_ISSUE:
		issue_title(t, s);
		break;
	case RESOURCE_ERROR:
	case RESOURCE_EVENT_ALERT:
		event_title(t, s);
		break;
	case RESOURCE_METRIC_ALERT:
		lead_title(t, s, metric_title(s));
		break;
	case RESOURCE_INSTALLATION:
		lead_title(t, s, if_any(json_get_scalar(json_get(json_get(
		    s->data, "installation"), "app"), "slug")));
		break;
	case RESOURCE_COMMENT:
		titled(t, "\U0001F4AC [Comment]", first_line(json_scalar(
		    json_get(s->data, "comment"))));
		break;
	case RESOURCE_ACTIVITY_ALERT:
	case RESOURCE_SEER:
	case RESOURCE_PREPROD_ARTIFACT:
	case RESOURCE_OTHER:
		other_title(t, s);
		break;
	}
	fit = text_fit_points(text_view(t), TITLE_MAX);
	if (fit < t->len) {
		t->len = fit;
		text_str(t, TEXT_ELLIPSIS);
	}
}

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
		    shown(s, json_nullish(value) ? title : value));
	else
		labelled(t, "**Error**: ", shown(s, title), "");
}

static struct span
frame_file(const struct subject *s, struct json frame)
{
	static const char *const names[] = { "filename", "abs_path",
	    "module" };
	struct span file;

	if (s->plan) {
		file = shown_member(s, frame, "filename");
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
	struct span lineno = shown_member(s, frame, "lineno");

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
	struct span count = shown_member(s, s->issue, "count");
	struct span users = shown_member(s, s->issue, "userCount");

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
	    shown_member(s, s->issue, "firstSeen"), "");
	labelled(t, "**Last seen**: ",
	    shown_member(s, s->issue, "lastSeen"), "");
	labelled(t, "\n**Release**: ", s->release, "");
	if (json_truthy(json_get(s->event, "environment")))
		labelled(t, "**Environment**: ", s->environment, "");
	stack_trace(t, s);
	labelled(t, "\n**Platform**: ",
	    shown_member(s, s->issue, "platform"), "");
}

static void
event_body(struct text *t, const struct subject *s)
{
	labelled(t, "**Rule**: ", if_any(s->rule), "");
	what_happened(t, s);
	location(t, s->event);
	labelled(t, "\n**Release**: ", s->release, "");
	labelled(t, "**Environment**: ", if_any(s->environment), "");
	stack_trace(t, s);
	labelled(t, "\n**Platform**: ",
	    if_any(shown_member(s, s->event, "platform")), "");
}

static void
metric_body(struct text *t, const struct subject *s)
{
	struct json rule = json_get(s->alert, "alert_rule");
	struct json projects = json_get(s->alert, "projects");
	struct span text = json_get_scalar(s->data, "description_text");
	const char *sep = "\n**Projects**: ";

	labelled(t, "**Metric alert**: ",
	    text.len > 0 ? text : metric_title(s), "");
	labelled(t, "\n**Rule**: ", if_any(s->rule), "");
	labelled(t, "**Aggregate**: ",
	    if_any(json_get_scalar(rule, "aggregate")), "");
	labelled(t, "**Query**: ",
	    if_any(json_get_scalar(rule, "query")), "");
	labelled(t, "**Time window**: ",
	    if_any(json_get_scalar(rule, "time_window")), " minutes");
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
story_body(struct text *t, const struct subject *s)
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
		text_span(t, best_title(s));
		break;
	}
	fit = text_fit_bytes(text_view(t), BODY_MAX);
	if (fit < t->len) {
		t->len = fit;
		text_str(t, TEXT_ELLIPSIS);
	}
}
