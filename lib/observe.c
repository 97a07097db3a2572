#include "observe.h"

#include <assert.h>

#include "body.h"
#include "member.h"
#include "metadata.h"
#include "references.h"
#include "signature.h"
#include "title.h"

/* Places in the source event; the pairs belong together. */
enum { GAP_RELEASE, GAP_COMMIT, GAP_METADATA, GAP_FROM };

const char *
outcome_name(enum outcome o)
{
	switch (o) {
	case OUTCOME_OBSERVED:
		return "observed";
	case OUTCOME_IGNORED:
		return "ignored";
	case OUTCOME_UNREADABLE:
		break;
	}
	return "unreadable";
}

/* A field of the observation; NUL becomes U+FFFD. */
static void
set(struct observation *o, enum observed f, struct span s)
{
	size_t from = o->bytes.len;
	const char *nul;

	if (s.at == NULL)
		return;
	while ((nul = s.len == 0 ? NULL : memchr(s.at, '\0', s.len)) != NULL) {
		text_add(&o->bytes, s.at, (size_t)(nul - s.at));
		text_str(&o->bytes, "\xef\xbf\xbd");
		s.len -= (size_t)(nul - s.at) + 1;
		s.at = nul + 1;
	}
	text_span(&o->bytes, s);
	o->field[f].at = from;
	o->field[f].len = o->bytes.len - from;
	o->field[f].set = true;
}

/* A field that is everything added since `from`. */
static void
set_since(struct observation *o, enum observed f, size_t from)
{
	o->field[f].at = from;
	o->field[f].len = o->bytes.len - from;
	o->field[f].set = true;
}

struct span
observation_get(const struct observation *o, enum observed f)
{
	if (!o->field[f].set)
		return (struct span){ NULL, 0 };
	if (o->field[f].len == 0)
		return span_of("");
	return (struct span){ o->bytes.at + o->field[f].at, o->field[f].len };
}

/* `{"id":"PREFIX:ID"`: an actor begins. */
static void
actor_id(struct text *t, const char *prefix, struct span who)
{
	member(t, "actor");
	text_str(t, "{\"id\":\"");
	text_str(t, prefix);
	text_escaped(t, who.at != NULL ? who : span_of("unknown"));
	text_str(t, "\"");
}

static struct json
nullish_or(struct json a, struct json b)
{
	return json_nullish(a) ? b : a;
}

/* The plan's rule, then the envelope's user. */
static void
add_actor(struct text *t, const struct subject *s)
{
	struct json to = json_get(s->issue, "assignedTo");
	struct json user = json_get(s->event, "user"), email, who;

	if (span_is(s->action, "assigned") && to.kind == JSON_OBJECT) {
		actor_id(t, "sentry:", json_get(to, "id").kind == JSON_NULL ?
		    span_of("null") : json_get_scalar(to, "id"));
		member_value(t, "name", json_get(to, "name"));
		member_value(t, "email", json_get(to, "email"));
	} else if (json_truthy(user)) {
		email = json_get(user, "email");
		actor_id(t, "user:", json_scalar(nullish_or(
		    json_get(user, "id"), email)));
		who = nullish_or(json_get(user, "username"), email);
		if (json_nullish(who))
			member_string(t, "name", span_of("Unknown User"));
		else
			member_value(t, "name", who);
		member_extra(t, "email", email);
	} else if (span_is(json_get_scalar(s->actor, "type"), "user") &&
	    json_get_scalar(s->actor, "id").at != NULL) {
		actor_id(t, "sentry:", json_get_scalar(s->actor, "id"));
		member_string(t, "name", json_get_scalar(s->actor, "name"));
	} else {
		return;
	}
	text_str(t, "}");
}

static struct span
source_number(const struct subject *s)
{
	struct span uuid;

	switch (s->resource) {
	case RESOURCE_ERROR:
	case RESOURCE_EVENT_ALERT:
		return json_get_scalar(s->event, "event_id");
	case RESOURCE_METRIC_ALERT:
		return json_get_scalar(s->alert, "id");
	case RESOURCE_COMMENT:
		return json_get_scalar(s->data, "comment_id");
	case RESOURCE_INSTALLATION:
		uuid = json_get_scalar(json_get(s->data, "installation"),
		    "uuid");
		return uuid;
	case RESOURCE_SEER:
		return json_get_scalar(s->data, "run_id");
	case RESOURCE_PREPROD_ARTIFACT:
		return json_get_scalar(s->data, "buildId");
	case RESOURCE_ISSUE:
	case RESOURCE_ACTIVITY_ALERT:
	case RESOURCE_OTHER:
		break;
	}
	return s->issue.kind == JSON_OBJECT ? s->issue_id :
	    (struct span){ NULL, 0 };
}

/* "KIND.ACTION", "KIND:NUMBER": two parts, as a field and in JSON. */
struct joined {
	struct span	 head, tail;
	const char	*sep;
};

static void
set_joined(struct observation *o, enum observed f, struct joined j)
{
	size_t from = o->bytes.len;

	set(o, f, j.head);
	if (j.tail.at != NULL) {
		text_str(&o->bytes, j.sep);
		set(o, f, j.tail);
	}
	set_since(o, f, from);
}

static void
member_joined(struct text *t, const char *name, struct joined j)
{
	member(t, name);
	text_str(t, "\"");
	text_escaped(t, j.head);
	if (j.tail.at != NULL) {
		text_str(t, j.sep);
		text_escaped(t, j.tail);
	}
	text_str(t, "\"");
}

static struct joined
source_type(const struct subject *s)
{
	return (struct joined){ s->name, span_filled(s->action), "." };
}

static struct joined
source_id(const struct subject *s, struct json root)
{
	struct joined j = { s->name, span_filled(source_number(s)), ":" };

	if (s->plan && s->issue.kind == JSON_OBJECT)
		j.tail = subject_shown(s, s->issue, "id");
	if (j.tail.len == 0 && s->resource == RESOURCE_INSTALLATION)
		j.tail = hook_installation(root);
	if ((s->resource == RESOURCE_ACTIVITY_ALERT ||
	    s->resource == RESOURCE_OTHER) && j.tail.len > 0)
		j.head = span_of("issue");
	return j;
}

static void
set_fields(struct observation *o, const struct subject *s, struct json root)
{
	set_joined(o, OBSERVED_SOURCE_TYPE, source_type(s));
	set_joined(o, OBSERVED_SOURCE_ID, source_id(s, root));
	set(o, OBSERVED_OCCURRED_AT, span_of(s->occurred.iso));
	set(o, OBSERVED_PROJECT_ID, s->project_id);
	set(o, OBSERVED_PROJECT_SLUG, s->project_slug);
	set(o, OBSERVED_ISSUE_ID, s->issue_id);
	set(o, OBSERVED_SHORT_ID, s->short_id);
	set(o, OBSERVED_LEVEL, s->level);
	set(o, OBSERVED_RELEASE, s->release);
	set(o, OBSERVED_ENVIRONMENT, s->environment);
}

static void
set_source_event(struct observation *o, const struct subject *s,
    struct json root)
{
	struct text title = { 0 }, body = { 0 }, event = { 0 };

	title_of(&title, s);
	body_of(&body, s);
	text_str(&event, "{");
	member_string(&event, "source", span_of("sentry"));
	member_joined(&event, "sourceType", source_type(s));
	member_joined(&event, "sourceId", source_id(s, root));
	member_string(&event, "title", text_view(&title));
	member_string(&event, "body", body.len > 0 ? text_view(&body) :
	    span_of(""));
	add_actor(&event, s);
	member_string(&event, "occurredAt", span_of(s->occurred.iso));
	references_add(&event, s, &o->gap[GAP_RELEASE]);
	metadata_add(&event, s, &o->gap[GAP_METADATA]);
	text_str(&event, "}");
	set(o, OBSERVED_TITLE, text_view(&title));
	/* There is no NUL in JSON text: it goes in as it is. */
	set(o, OBSERVED_SOURCE_EVENT, text_view(&event));
	o->bytes.broken |= title.broken | body.broken | event.broken;
	text_release(&title);
	text_release(&body);
	text_release(&event);
}

static void
set_keys(struct observation *o, const struct hook *hook, struct json root,
    enum resource r, struct span resource)
{
	struct moment newest;
	size_t from = o->bytes.len;
	char hex[FINGERPRINT_HEX + 1];
	struct text id_text = { 0 };

	subject_newest_date(&newest, json_get(json_get(root, "data"),
	    "metric_alert"));
	hook_dedupe_key(&o->bytes, hook, root, r, resource,
	    span_of(newest.iso));
	set_since(o, OBSERVED_DEDUPE_KEY, from);
	if (o->bytes.broken)
		return;
	fingerprint(hex, observation_get(o, OBSERVED_DEDUPE_KEY));
	text_str(&id_text, "sentry-");
	text_str(&id_text, hex);
	set(o, OBSERVED_EVENT_ID, text_view(&id_text));
	o->bytes.broken |= id_text.broken;
	text_release(&id_text);
}

/* What an event is mostly made of, and no observation speaks of. */
static const char *const unread[] = { "breadcrumbs", "modules",
    "post_context", "pre_context", "spans", "vars", NULL };

int
observe(struct observation *o, const struct hook *hook, struct span list)
{
	struct json root;
	struct subject s;
	struct span resource;
	enum resource r;
	int readable;

	*o = (struct observation){ .outcome = OUTCOME_UNREADABLE };
	if ((readable = json_open_but(&root, hook->body, unread)) < 0)
		return -1;
	r = RESOURCE_OTHER;
	resource = hook_resource_header(hook);
	if (readable == 0)
		r = hook_resource(hook, root, &resource, &o->mismatch);
	set(o, OBSERVED_RESOURCE, resource);
	set(o, OBSERVED_ACTION, json_string(json_get(root, "action")));
	set(o, OBSERVED_INSTALLATION, hook_installation(root));
	set_keys(o, hook, root, r, resource);
	if (readable == 0) {
		subject_find(&s, hook, root, r, resource);
		o->outcome = hook_observed(list, resource, s.action) ?
		    OUTCOME_OBSERVED : OUTCOME_IGNORED;
		o->teaches = r == RESOURCE_ERROR || r == RESOURCE_EVENT_ALERT;
		o->asks = r == RESOURCE_ISSUE && s.release.len == 0 &&
		    s.issue.kind == JSON_OBJECT && s.issue_id.len > 0;
		set_fields(o, &s, root);
		if (o->outcome == OUTCOME_OBSERVED && !o->bytes.broken)
			set_source_event(o, &s, root);
	}
	json_close(&root);
	return o->bytes.broken ? -1 : 0;
}

void
observation_release(struct observation *o)
{
	text_release(&o->bytes);
}

int
observation_learn(struct observation *o, struct span release)
{
	struct span old = observation_get(o, OBSERVED_SOURCE_EVENT);
	struct text t = { 0 };
	struct observation learned = *o;
	size_t none;

	assert(old.at != NULL);
	none = old.at[o->gap[GAP_METADATA]] == 'n' ?
	    strlen("null") : strlen("\"\"");
	/* SOURCE_EVENT is the last field, so that the others keep their
	 * places when it grows; the release's own text goes behind it. */
	text_add(&t, o->bytes.at, o->field[OBSERVED_SOURCE_EVENT].at);
	text_add(&t, old.at, o->gap[GAP_RELEASE]);
	references_learned(&t, release);
	text_str(&t, ",");
	text_add(&t, old.at + o->gap[GAP_RELEASE],
	    o->gap[GAP_COMMIT] - o->gap[GAP_RELEASE]);
	references_learned_commit(&t, release);
	text_add(&t, old.at + o->gap[GAP_COMMIT],
	    o->gap[GAP_METADATA] - o->gap[GAP_COMMIT]);
	text_json(&t, release);
	text_add(&t, old.at + o->gap[GAP_METADATA] + none,
	    o->gap[GAP_FROM] - o->gap[GAP_METADATA] - none);
	member_string(&t, "releaseFrom", span_of("issue"));
	text_add(&t, old.at + o->gap[GAP_FROM], old.len - o->gap[GAP_FROM]);
	learned.bytes = t;
	set_since(&learned, OBSERVED_SOURCE_EVENT,
	    o->field[OBSERVED_SOURCE_EVENT].at);
	set(&learned, OBSERVED_RELEASE, release);
	if (learned.bytes.broken) {
		text_release(&learned.bytes);
		return -1;
	}
	text_release(&o->bytes);
	*o = learned;
	o->asks = false;
	return 0;
}
