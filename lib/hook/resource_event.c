/* Hooks about an event: `data.error`, and `data.event` of an alert rule. Events
 * of issues that are no errors have an `occurrence`; its texts are shown where
 * it has some. */
#include "base/json_member.h"
#include "hook/body_line.h"
#include "hook/dedupe_key.h"
#include "hook/frames.h"
#include "hook/metadata.h"
#include "hook/resource.h"
#include "hook/title.h"

static struct span
event_number(const struct facts *f)
{
	return json_get_scalar(f->event, "event_id");
}

static bool
event_occurred(struct timestamp *when, const struct facts *f)
{
	struct json timestamp = json_get(f->event, "timestamp");

	return facts_date(when, json_get(f->event, "datetime")) ||
	    facts_date(when, timestamp) ||
	    timestamp_seconds(when, json_string(timestamp));
}

/* ---- the body ---- */

/* The object that has the type and value of the exception: the main exception,
 * else the event's metadata, else the exception that was raised. JSON_MISSING
 * if none of the three has a type. */
static struct json
event_typed_exception(const struct facts *f)
{
	struct json v = frames_main_exception(f);

	if (json_get_scalar(v, "type").len == 0)
		v = json_get(f->event, "metadata");
	if (json_get_scalar(v, "type").len == 0)
		v = frames_raised(f);
	return json_get_scalar(v, "type").len > 0 ? v : JSON_NONE;
}

/* `**TYPE**: VALUE`; `**Error**: TITLE` of what is no exception. Returns the
 * value. */
static struct span
event_error_line(struct text *t, const struct facts *f)
{
	struct json says = event_typed_exception(f);
	struct json value = json_get(says, "value");
	struct span shown;

	if (json_nullish(value))
		value = json_get(f->event, "title");
	shown = json_scalar(value);
	if (says.kind == JSON_MISSING) {
		body_line_add_filled(t, "**Error**: ", shown, "");
		return shown;
	}
	body_line_add(t, "**", json_get_scalar(says, "type"), "**");
	if (shown.at != NULL) {
		text_str(t, ": ");
		text_span(t, shown);
	}
	return shown;
}

/* Lines for the evidence that is important, or for the rest of it. */
static void
event_evidence_lines(struct text *t, const struct facts *f, bool important)
{
	struct json list = json_get(f->occurrence, "evidenceDisplay");

	for (size_t i = 0; i < json_count(list); i++) {
		struct json e = json_at(list, i);
		struct span value = json_get_scalar(e, "value");

		if (json_truthy(json_get(e, "important")) == important &&
		    value.len > 0)
			body_line_add_pair(t, "- ", json_get_scalar(e, "name"),
			    value);
	}
}

/* `**TITLE**: SUBTITLE` and the evidence. Returns the subtitle. */
static struct span
event_occurrence_lines(struct text *t, const struct facts *f)
{
	struct span title = facts_event_title(f);
	struct span subtitle = json_get_scalar(f->occurrence, "subtitle");

	if (title.len > 0) {
		body_line_add(t, "**", title, "**");
		if (subtitle.len > 0) {
			text_str(t, ": ");
			text_span(t, subtitle);
		}
	} else {
		body_line_add_filled(t, "", subtitle, "");
	}
	event_evidence_lines(t, f, true);
	event_evidence_lines(t, f, false);
	return subtitle;
}

/* Whether the lines above show the message: the first of them, which ends with
 * `head`, or a line of evidence. */
static bool
event_shows_message(const struct facts *f, struct span message,
    struct span head)
{
	struct json list = json_get(f->occurrence, "evidenceDisplay");

	if (span_same(message, head))
		return true;
	for (size_t i = 0; i < json_count(list); i++)
		if (span_same(message,
		    json_get_scalar(json_at(list, i), "value")))
			return true;
	return false;
}

/* The message, if the lines above do not show it. Sentry cuts the title that it
 * makes of a message after 100 characters, and at the first line's end. */
static void
event_message_line(struct text *t, const struct facts *f, struct span head)
{
	struct json entry = json_get(f->event, "logentry");
	struct span m = facts_first(facts_first(json_get_scalar(entry,
	    "formatted"), json_get_scalar(f->event, "message")),
	    json_get_scalar(entry, "message"));
	size_t fit = text_fit_bytes(m, MESSAGE_MAX);

	if (m.len <= facts_event_title(f).len ||
	    event_shows_message(f, m, head))
		return;
	body_line_add(t, f->occurrence.kind == JSON_OBJECT ? "\n**Message**: " :
	    "**Message**: ", (struct span){ m.at, fit },
	    fit < m.len ? TEXT_ELLIPSIS : "");
}

static void
event_body(struct text *t, const struct facts *f)
{
	bool occurrence = f->occurrence.kind == JSON_OBJECT;

	body_line_add_filled(t, "**Rule**: ", f->rule, "");
	event_message_line(t, f, occurrence ? event_occurrence_lines(t, f) :
	    event_error_line(t, f));
	body_line_add_filled(t, "\n**Location**: `", facts_first(
	    json_get_scalar(f->event, "culprit"),
	    json_get_scalar(f->occurrence, "culprit")), "`");
	body_line_add_filled(t, "\n**Release**: ", f->release, "");
	/* Without an empty line before it, Markdown would make it a part of
	 * the list of evidence. */
	body_line_add_filled(t, occurrence && f->release.len == 0 ?
	    "\n**Environment**: " : "**Environment**: ", f->environment, "");
	frames_add(t, f);
	body_line_add_member(t, "\n**Platform**: ", f->event, "platform");
}

static void
event_metadata(struct text *t, const struct facts *f)
{
	struct json main_exception = frames_main_exception(f);

	json_member_string(t, "issueId", f->issue_id);
	json_member_string(t, "permalink", f->url);
	json_member_string(t, "projectSlug", f->project_slug);
	json_member_string(t, "projectId", f->project_id);
	metadata_texts(t, f->event, (const char *const[]){ "platform",
	    "platform", NULL });
	json_member_string(t, "level", f->level);
	metadata_of_error(t, f, json_get_scalar(main_exception, "type").len >
	    0 ? main_exception : json_get(f->event, "metadata"),
	    json_get(f->event, "culprit"));
	json_member_string(t, "eventId", event_number(f));
	json_member_extra(t, "occurrenceType", json_get(f->occurrence, "type"));
	metadata_release_from(t, f);
	json_member_string(t, "rule", f->rule);
	json_member_string(t, "ruleId", json_get_scalar(json_get(f->data,
	    "issue_alert"), "id"));
}

/* ---- error ---- */

static void
error_find(struct facts *f)
{
	facts_of_event(f, json_get(f->data, "error"));
}

/* An event's id is unique in its project alone. */
static bool
error_key(struct text *t, const struct facts *f)
{
	if (event_number(f).len == 0)
		return false;
	dedupe_key_part(t, "project:", f->project_id);
	dedupe_key_part(t, ":event:", event_number(f));
	return true;
}

static void
error_title(struct text *t, const struct facts *f)
{
	text_str(t, title_level(f->level));
	title_add(t, " [Error]", facts_event_title(f));
}

const struct resource resource_error = {
	.name = "error",
	.members = { "error" },
	.object = true,
	.guessed = true,
	.is_event = true,
	.actions = "created",
	.find = error_find,
	.number = event_number,
	.key = error_key,
	.occurred = event_occurred,
	.title = error_title,
	.body = event_body,
	.metadata = event_metadata,
};

/* ---- event_alert ---- */

static void
event_alert_find(struct facts *f)
{
	facts_of_event(f, json_get(f->data, "event"));
	f->rule = span_filled(json_string(json_get(f->data,
	    "triggered_rule")));
}

/* One event may belong to several issues, and set off several rules. */
static bool
event_alert_key(struct text *t, const struct facts *f)
{
	struct span alert = json_get_scalar(json_get(f->data, "issue_alert"),
	    "id");

	if (event_number(f).len == 0)
		return false;
	dedupe_key_part(t, "project:", f->project_id);
	dedupe_key_part(t, ":issue:", f->issue_id);
	dedupe_key_part(t, ":event:", event_number(f));
	if (f->rule.len > 0)
		dedupe_key_part(t, ":rule:", f->rule);
	if (alert.len > 0)
		dedupe_key_part(t, ":alert:", alert);
	return true;
}

static void
event_alert_title(struct text *t, const struct facts *f)
{
	text_str(t, title_level(f->level));
	text_str(t, " [Alert]");
	if (f->rule.len > 0) {
		title_add(t, "", f->rule);
		text_str(t, ":");
	}
	title_add(t, "", facts_event_title(f));
}

const struct resource resource_event_alert = {
	.name = "event_alert",
	.members = { "event" },
	.object = true,
	.guessed = true,
	.is_event = true,
	.actions = "triggered",
	.find = event_alert_find,
	.number = event_number,
	.key = event_alert_key,
	.occurred = event_occurred,
	.title = event_alert_title,
	.body = event_body,
	.metadata = event_metadata,
};
