#include "hook/actor.h"

#include "base/json_member.h"

/* Appends `"actor":{"id":"PREFIX:ID"`. The caller closes the object. */
static void
open_actor(struct text *t, const char *prefix, struct span who)
{
	json_member(t, "actor");
	text_str(t, "{\"id\":\"");
	text_str(t, prefix);
	text_escaped(t, who.at != NULL ? who : span_of("unknown"));
	text_str(t, "\"");
}

static void
add_assignee(struct text *t, struct json to)
{
	bool team = span_is(json_get_scalar(to, "type"), "team");

	open_actor(t, team ? "sentry-team:" : "sentry:",
	    json_get(to, "id").kind == JSON_NULL ? span_of("null") :
	    json_get_scalar(to, "id"));
	json_member_value(t, "name", json_get(to, "name"));
	if (!team)
		json_member_value(t, "email", json_get(to, "email"));
}

static struct json
nullish_or(struct json a, struct json b)
{
	return json_nullish(a) ? b : a;
}

/* Whether a data scrubber (Sentry's, an SDK's, our redaction) may have put this
 * in the place of a text: "[Filtered]", "[ip]", "<redacted>", asterisks, or
 * blanks. */
static bool
is_scrubbed(struct span s)
{
	size_t stars = 0;

	s = span_trimmed(s);
	if (s.at == NULL || s.len == 0)
		return true;
	while (stars < s.len && s.at[stars] == '*')
		stars++;
	return stars == s.len ||
	    (s.at[0] == '[' && s.at[s.len - 1] == ']') ||
	    (s.at[0] == '<' && s.at[s.len - 1] == '>');
}

/* The text of a user's member if it was not scrubbed, else { NULL, 0 }. */
static struct span
known_text(struct json user, const char *name)
{
	struct span s = json_get_scalar(user, name);

	return is_scrubbed(s) ? SPAN_NONE : s;
}

static bool
add_event_user(struct text *t, struct json user)
{
	struct span id = known_text(user, "id");
	struct span email = known_text(user, "email");
	struct span username = known_text(user, "username");
	struct span name = known_text(user, "name");
	struct span who = facts_first(facts_first(id, email),
	    facts_first(username, name));

	if (who.at == NULL)
		return false;
	open_actor(t, "user:", who);
	name = facts_first(username, facts_first(email, name));
	json_member_string(t, "name", name.at != NULL ? name :
	    span_of("Unknown User"));
	json_member_string(t, "email", email);
	return true;
}

/* Whether a text of the user was scrubbed, or all its texts are empty. The
 * TypeScript functions know of neither: for such a user their rules do not
 * count. */
static bool
is_scrubbed_user(struct json user)
{
	static const char *const names[] = { "id", "email", "username" };
	bool has_text = false, has_known = false;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct span s = json_get_scalar(user, names[i]);

		has_text |= s.at != NULL;
		has_known |= s.at != NULL && !is_scrubbed(s);
		if (s.len > 0 && is_scrubbed(s))
			return true;
	}
	return has_text && !has_known;
}

/* As the TypeScript functions do it, with `??`. */
static bool
add_issue_user(struct text *t, struct json user)
{
	struct json email = json_get(user, "email"), who;

	if (!json_truthy(user))
		return false;
	if (is_scrubbed_user(user))
		return add_event_user(t, user);
	open_actor(t, "user:", json_scalar(nullish_or(json_get(user, "id"),
	    email)));
	who = nullish_or(json_get(user, "username"), email);
	if (json_nullish(who))
		json_member_string(t, "name", span_of("Unknown User"));
	else
		json_member_value(t, "name", who);
	json_member_extra(t, "email", email);
	return true;
}

static bool
add_envelopes_user(struct text *t, struct json actor)
{
	struct span id = json_get_scalar(actor, "id");

	if (!span_is(json_get_scalar(actor, "type"), "user") || id.at == NULL)
		return false;
	open_actor(t, "sentry:", id);
	json_member_string(t, "name", json_get_scalar(actor, "name"));
	return true;
}

void
actor_add(struct text *t, const struct facts *f)
{
	struct json user = json_get(f->event, "user");
	bool somebody = true;

	if (span_is(f->action, "assigned") && f->assignee.kind == JSON_OBJECT)
		add_assignee(t, f->assignee);
	else
		somebody = (f->prints_null ? add_issue_user(t, user) :
		    add_event_user(t, user)) || add_envelopes_user(t, f->actor);
	if (somebody)
		text_str(t, "}");
}

void
actor_add_triggered_by(struct text *t, const struct facts *f)
{
	static const char *const names[] = { "type", "id", "name" };

	if (f->actor.kind != JSON_OBJECT)
		return;
	json_member(t, "triggeredBy");
	text_str(t, "{");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		json_member_string(t, names[i],
		    json_get_scalar(f->actor, names[i]));
	text_str(t, "}");
}
