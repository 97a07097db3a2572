/* Metric alerts. Their id and dates belong to the incident: they stay the same
 * while it changes between warning and critical. */
#include "base/json_member.h"
#include "hook/body_line.h"
#include "hook/dedupe_key.h"
#include "hook/metadata.h"
#include "hook/resource.h"
#include "hook/title.h"

#define DAY_MS	86400000

static struct json
metric_alert_object(const struct facts *f)
{
	return json_get(f->data, "metric_alert");
}

static struct json
metric_alert_rule(const struct facts *f)
{
	return json_get(metric_alert_object(f), "alert_rule");
}

static void
metric_alert_find(struct facts *f)
{
	struct json rule = metric_alert_rule(f);

	facts_of_issue(f);
	f->environment = span_filled(json_get_scalar(rule, "environment"));
	f->rule = span_filled(json_get_scalar(rule, "name"));
	f->rule_id = json_get_scalar(rule, "id");
}

static struct span
metric_alert_number(const struct facts *f)
{
	return json_get_scalar(metric_alert_object(f), "id");
}

static bool
metric_alert_key(struct text *t, const struct facts *f)
{
	return dedupe_key_of_body(t, f, metric_alert_number(f));
}

/* Whether the hook has a timestamp, which is within a day of its reception:
 * then it is the time of the change. */
static bool
metric_alert_sent_now(const struct hook *hook)
{
	struct span s = hook->timestamp;
	int64_t sent, late;
	struct timestamp m;

	if (!timestamp_seconds(&m, s) ||
	    !span_take_number(&s, INT64_MAX, &sent))
		return false;
	/* What is left is a point and digits, or nothing. */
	for (size_t i = 1; i <= 3; i++)
		sent = sent * 10 + (i < s.len ? s.at[i] - '0' : 0);
	late = hook->received_at - sent;
	return late >= -DAY_MS && late <= DAY_MS;
}

static bool
metric_alert_occurred(struct timestamp *newest, const struct facts *f)
{
	static const char *const dates[] = { "date_started", "date_detected",
	    "date_created", "date_closed" };
	struct json alert = metric_alert_object(f);
	struct timestamp date;

	if (metric_alert_sent_now(f->hook))
		return false;
	newest->iso[0] = '\0';
	for (size_t i = 0; i < sizeof(dates) / sizeof(dates[0]); i++)
		if (facts_date(&date, json_get(alert, dates[i])) &&
		    timestamp_later(&date, newest))
			*newest = date;
	return newest->iso[0] != '\0';
}

static struct span
metric_alert_words(const struct facts *f)
{
	return facts_first(json_get_scalar(f->data, "description_title"),
	    json_get_scalar(metric_alert_object(f), "title"));
}

static void
metric_alert_title(struct text *t, const struct facts *f)
{
	static const struct title_lead leads[] = {
		{ "critical", "\U0001F534 [Metric Alert Critical]" },
		{ "warning", "\U0001F7E1 [Metric Alert Warning]" },
		{ "resolved", "\u2705 [Metric Alert Resolved]" },
		{ NULL, NULL }
	};

	if (!title_add_by_action(t, f, leads, metric_alert_words(f)))
		title_add_found(t, f);
}

/* The threshold of the trigger whose label is the action; on `resolved` that of
 * the rule. A rule that looks for anomalies ("dynamic") has none: Sentry sends
 * a 0 that means nothing. */
static struct json
metric_alert_threshold(const struct facts *f)
{
	struct json rule = metric_alert_rule(f);
	struct json triggers = json_get(rule, "triggers");
	struct json resolve = json_get(rule, "resolve_threshold");

	if (span_is(json_get_scalar(rule, "detection_type"), "dynamic"))
		return JSON_NONE;
	if (span_is(f->action, "resolved") && !json_nullish(resolve))
		return resolve;
	for (size_t i = 0; i < json_count(triggers) && f->action.len > 0; i++)
		if (span_same(json_get_scalar(json_at(triggers, i), "label"),
		    f->action))
			return json_get(json_at(triggers, i),
			    "alert_threshold");
	return json_get(json_at(triggers, 0), "alert_threshold");
}

/* The description. Where Sentry has no figure, it leaves the first line of the
 * description empty: the title takes its place. */
static void
metric_alert_description(struct text *t, const struct facts *f)
{
	struct span whole = json_get_scalar(f->data, "description_text");
	struct span text = span_trimmed(whole);
	bool headless = text.len == 0;

	for (const char *p = whole.at; p < text.at; p++)
		headless |= *p == '\n' || *p == '\r';
	if (headless)
		body_line_add_filled(t, "**Metric alert**: ",
		    metric_alert_words(f), "");
	body_line_add_filled(t, headless && t->len > 0 ? "" :
	    "**Metric alert**: ", text, "");
}

static void
metric_alert_projects_line(struct text *t, const struct facts *f)
{
	struct json projects = json_get(metric_alert_object(f), "projects");
	const char *sep = "\n**Projects**: ";

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
metric_alert_body(struct text *t, const struct facts *f)
{
	struct json rule = metric_alert_rule(f);
	bool percent = span_is(json_get_scalar(rule, "detection_type"),
	    "percent");

	metric_alert_description(t, f);
	body_line_add_filled(t, "\n**Rule**: ", f->rule, "");
	body_line_add_filled(t, "**Environment**: ", f->environment, "");
	body_line_add_member(t, "**Aggregate**: ", rule, "aggregate");
	body_line_add_member(t, "**Query**: ", rule, "query");
	body_line_add_filled(t, "**Threshold**: ",
	    json_scalar(metric_alert_threshold(f)), percent ? " %" : "");
	body_line_add_filled(t, "**Time window**: ",
	    json_get_scalar(rule, "time_window"), " minutes");
	body_line_add_member(t, "**Dataset**: ", rule, "dataset");
	metric_alert_projects_line(t, f);
}

static void
metric_alert_metadata(struct text *t, const struct facts *f)
{
	struct json alert = metric_alert_object(f);
	struct json projects = json_get(alert, "projects");
	struct json rule = metric_alert_rule(f);

	metadata_texts(t, alert, (const char *const[]){ "metricAlertId", "id",
	    "identifier", "identifier", NULL });
	json_member_extra(t, "status", json_get(alert, "status"));
	json_member_string(t, "projectSlug", f->project_slug);
	if (projects.kind == JSON_ARRAY)
		json_member_value(t, "projects", projects);
	json_member_string(t, "rule", f->rule);
	json_member_string(t, "ruleId", f->rule_id);
	json_member_string(t, "environment", f->environment);
	metadata_texts(t, rule, (const char *const[]){ "aggregate",
	    "aggregate", "query", "query", "dataset", "dataset", NULL });
	json_member_extra(t, "threshold", metric_alert_threshold(f));
	json_member_extra(t, "thresholdType", json_get(rule, "threshold_type"));
	metadata_texts(t, rule, (const char *const[]){ "detectionType",
	    "detection_type", NULL });
	json_member_extra(t, "timeWindow", json_get(rule, "time_window"));
	metadata_texts(t, f->data, (const char *const[]){ "permalink",
	    "web_url", NULL });
}

const struct resource resource_metric_alert = {
	.name = "metric_alert",
	.members = { "metric_alert" },
	.object = true,
	.guessed = true,
	.actions = "critical warning resolved open",
	.find = metric_alert_find,
	.number = metric_alert_number,
	.key = metric_alert_key,
	.occurred = metric_alert_occurred,
	.title = metric_alert_title,
	.body = metric_alert_body,
	.metadata = metric_alert_metadata,
};
