#include "title.h"

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
	struct span title = subject_shown(s, s->issue, "title");

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
	titled(t, "", subject_shown(s, s->event, "title"));
}

/* The first of many places that holds a title. */
struct span
title_best(const struct subject *s)
{
	static const char *const places[][2] = {
		{ "issue", "title" }, { "event", "title" },
		{ "error", "title" }, { "description_title" },
		{ "metric_alert", "title" }, { "alert", "title" },
		{ "title" }, { "installation.app", "slug" },
		{ "appInfo", "name" },
		{ "root_cause", "one_line_description" },
		{ "root_cause", "description" },	/* of 2025 */
		{ "solution", "one_line_summary" },
		{ "solution", "description" }, { "comment" },
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
	return (struct span){ NULL, 0 };
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
	titled(t, "", title_best(s));
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
	return span_filled(s);
}

struct span
title_of_metric(const struct subject *s)
{
	struct span title = json_scalar(json_get(s->data,
	    "description_title"));

	if (title.len == 0)
		title = json_get_scalar(s->alert, "title");
	return span_filled(title);
}

void
title_of(struct text *t, const struct subject *s)
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
		lead_title(t, s, title_of_metric(s));
		break;
	case RESOURCE_INSTALLATION:
		lead_title(t, s, span_filled(json_get_scalar(json_get(json_get(
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
