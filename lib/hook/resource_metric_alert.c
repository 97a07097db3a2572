/* Metric alerts. Their id and dates are those of the incident: they stay the
 * same while it moves between warning and critical. */
#include "hook/dedupe_key.h"
#include "hook/body_line.h"
#include "base/json_member.h"
#include "hook/metadata.h"
#include "hook/resource.h"
#include "hook/title.h"

#define DAY_MS	86400000

static struct json
alert(const struct facts *f)
{
	return json_get(f->data, "metric_alert");
}

static struct json
rule(const struct facts *f)
{
	return json_get(alert(f), "alert_rule");
}

static void
find(struct facts *f)
{
	facts_of_issue(f);
	f->environment = span_filled(json_get_scalar(rule(f), "environment"));
	f->rule = span_filled(json_get_scalar(rule(f), "name"));
	f->rule_id = json_get_scalar(rule(f), "id");
}

static struct span
number(const struct facts *f)
{
	return json_get_scalar(alert(f), "id");
}

static bool
key(struct text *t, const struct facts *f)
{
	return dedupe_key_of_body(t, f, number(f));
}

/* Whether the hook's timestamp is one, and from the time of its reception. */
static bool
sent_now(const struct hook *hook)
{
	struct span s = hook->timestamp;
	int64_t sent = 0, late;
	size_t i, point;
	struct timestamp m;

	if (!timestamp_seconds(&m, s))
		return false;
	for (point = 0; point < s.len && s.at[point] != '.'; point++)
		sent = sent * 10 + (s.at[point] - '0');
	for (i = 1; i <= 3; i++)
		sent = sent * 10 + (point + i < s.len ?
		    s.at[point + i] - '0' : 0);
	late = hook->received_at - sent;
	return late >= -DAY_MS && late <= DAY_MS;
}

static bool
occurred(struct timestamp *newest, const struct facts *f)
{
	static const char *const dates[] = { "date_started", "date_detected",
	    "date_created", "date_closed" };
	struct timestamp m;

	if (sent_now(f->hook))
		return false;
	newest->iso[0] = '\0';
	for (size_t i = 0; i < sizeof(dates) / sizeof(dates[0]); i++)
		if (facts_date(&m, json_get(alert(f), dates[i])) &&
		    timestamp_later(&m, newest))
			*newest = m;
	return newest->iso[0] != '\0';
}

static struct span
says(const struct facts *f)
{
	return facts_first(json_get_scalar(f->data, "description_title"),
	    json_get_scalar(alert(f), "title"));
}

static void
title(struct text *t, const struct facts *f)
{
	static const struct title_lead leads[] = {
		{ "critical", "\U0001F534 [Metric Alert Critical]" },
		{ "warning", "\U0001F7E1 [Metric Alert Warning]" },
		{ "resolved", "\u2705 [Metric Alert Resolved]" },
		{ "open", "\u26A0\uFE0F [Metric Alert Open]" },
		{ NULL, NULL }
	};

	if (!title_add_by_action(t, f, leads, says(f)))
		title_add_found(t, f);
}

/* The trigger's that went off; of a resolved one the rule's own. Where Sentry
 * looks for anomalies there is none: it sends 0. */
static struct json
threshold(const struct facts *f)
{
	struct json triggers = json_get(rule(f), "triggers");
	struct json resolve = json_get(rule(f), "resolve_threshold");

	if (span_is(json_get_scalar(rule(f), "detection_type"), "dynamic"))
		return (struct json){ JSON_MISSING, NULL };
	if (span_is(f->action, "resolved") && !json_nullish(resolve))
		return resolve;
	for (size_t i = 0; i < json_count(triggers) && f->action.len > 0;
	    i++) {
		if (span_same(json_get_scalar(json_at(triggers, i), "label"),
		    f->action))
			return json_get(json_at(triggers, i),
			    "alert_threshold");
	}
	return json_get(json_at(triggers, 0), "alert_threshold");
}

/* The description comes without its first line where Sentry has no figure. */
static void
description(struct text *t, const struct facts *f)
{
	struct span whole = json_get_scalar(f->data, "description_text");
	struct span text = span_trimmed(whole);
	bool headless = text.len == 0;

	for (const char *p = whole.at; p < text.at; p++)
		headless |= *p == '\n' || *p == '\r';
	if (headless)
		body_line_add_filled(t, "**Metric alert**: ", says(f), "");
	body_line_add_filled(
	    t, headless && t->len > 0 ? "" : "**Metric alert**: ", text, "");
}

static void
body(struct text *t, const struct facts *f)
{
	struct json projects = json_get(alert(f), "projects");
	const char *sep = "\n**Projects**: ";

	description(t, f);
	body_line_add_filled(t, "\n**Rule**: ", f->rule, "");
	body_line_add_filled(t, "**Environment**: ", f->environment, "");
	body_line_add_filled(t, "**Aggregate**: ",
	    json_get_scalar(rule(f), "aggregate"), "");
	body_line_add_filled(
	    t, "**Query**: ", json_get_scalar(rule(f), "query"), "");
	body_line_add_filled(t, "**Threshold**: ", json_scalar(threshold(f)),
	    span_is(json_get_scalar(rule(f), "detection_type"), "percent") ?
	    " %" : "");
	body_line_add_filled(t, "**Time window**: ",
	    json_get_scalar(rule(f), "time_window"), " minutes");
	body_line_add_filled(t, "**Dataset**: ",
	    json_get_scalar(rule(f), "dataset"), "");
	for (size_t i = 0; i < json_count(projects); i++) {
		struct span slug = json_scalar(json_at(projects, i));

		if (slug.len == 0)
			continue;
		if (*sep == '\n')
			body_line_start(t);
		text_str(t, sep);
		text_span(t, slug);
		sep = ", ";
	}
}

static void
metadata(struct text *t, const struct facts *f)
{
	struct json projects = json_get(alert(f), "projects");

	metadata_texts(t, alert(f), (const char *const[]){ "metricAlertId",
	    "id", "identifier", "identifier", NULL });
	json_member_extra(t, "status", json_get(alert(f), "status"));
	json_member_string(t, "projectSlug", f->project_slug);
	if (projects.kind == JSON_ARRAY)
		json_member_value(t, "projects", projects);
	json_member_string(t, "rule", f->rule);
	json_member_string(t, "ruleId", f->rule_id);
	json_member_string(t, "environment", f->environment);
	metadata_texts(t, rule(f), (const char *const[]){ "aggregate",
	    "aggregate", "query", "query", "dataset", "dataset", NULL });
	json_member_extra(t, "threshold", threshold(f));
	json_member_extra(t, "thresholdType",
	    json_get(rule(f), "threshold_type"));
	metadata_texts(t, rule(f), (const char *const[]){ "detectionType",
	    "detection_type", NULL });
	json_member_extra(t, "timeWindow", json_get(rule(f), "time_window"));
	metadata_texts(t, f->data, (const char *const[]){ "permalink",
	    "web_url", NULL });
}

const struct resource resource_metric_alert = {
	.name = "metric_alert",
	.members = { "metric_alert" },
	.object = true,
	.guessed = true,
	.actions = "critical warning resolved open",
	.find = find,
	.number = number,
	.key = key,
	.occurred = occurred,
	.title = title,
	.body = body,
	.metadata = metadata,
};
