/* How a hook becomes an observation:
 *
 *  1. observe_learned()   parses the body, without its large members;
 *  2. resource_of()       finds out its resource;
 *  3. facts_start() and the resource's find()
 *                         find its facts: ids, project, release ...;
 *  4. set_keys()          makes dedupe_key and event_id;
 *  5. observe_list_has()  says whether it is observed at all; if so,
 *  6. set_source_event()  writes title, body, references and metadata. */
#include "hook/observation.h"

#include "base/ascii.h"
#include "base/json_member.h"
#include "hook/actor.h"
#include "hook/body_line.h"
#include "hook/dedupe_key.h"
#include "hook/observe_list.h"
#include "hook/references.h"
#include "hook/resource.h"
#include "hook/signature.h"
#include "hook/title.h"

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

/* Sets a field. NULs in it become U+FFFD. */
static void
set_field(struct observation *o, enum observation_field f, struct span s)
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

/* Makes a field of all that was appended to `bytes` since `from`. */
static void
set_field_since(struct observation *o, enum observation_field f, size_t from)
{
	o->field[f].at = from;
	o->field[f].len = o->bytes.len - from;
	o->field[f].set = true;
}

struct span
observation_get(const struct observation *o, enum observation_field f)
{
	if (!o->field[f].set)
		return SPAN_NONE;
	if (o->field[f].len == 0)
		return span_of("");
	return (struct span){ o->bytes.at + o->field[f].at, o->field[f].len };
}

/* "KIND.ACTION" or "KIND:NUMBER": a text of two parts, which becomes a field
 * and a member of JSON. */
struct joined {
	struct span	 head, tail;
	const char	*sep;
};

static void
set_joined(struct observation *o, enum observation_field f, struct joined j)
{
	size_t from = o->bytes.len;

	set_field(o, f, j.head);
	if (j.tail.at != NULL) {
		text_str(&o->bytes, j.sep);
		set_field(o, f, j.tail);
	}
	set_field_since(o, f, from);
}

static void
member_joined(struct text *t, const char *name, struct joined j)
{
	json_member(t, name);
	text_str(t, "\"");
	text_escaped(t, j.head);
	if (j.tail.at != NULL) {
		text_str(t, j.sep);
		text_escaped(t, j.tail);
	}
	text_str(t, "\"");
}

static struct joined
source_type(const struct facts *f)
{
	return (struct joined){ f->name, span_filled(f->action), "." };
}

static struct joined
source_id(const struct facts *f)
{
	struct joined j = { f->name, f->resource->number(f), ":" };

	if (!f->prints_null)
		j.tail = span_filled(j.tail);
	if (f->resource->source != NULL && j.tail.at != NULL)
		j.head = span_of(f->resource->source);
	return j;
}

static void
set_fields(struct observation *o, const struct facts *f)
{
	set_joined(o, OBSERVED_SOURCE_TYPE, source_type(f));
	set_joined(o, OBSERVED_SOURCE_ID, source_id(f));
	set_field(o, OBSERVED_PROJECT_ID, f->project_id);
	set_field(o, OBSERVED_PROJECT_SLUG, f->project_slug);
	set_field(o, OBSERVED_ISSUE_ID, f->issue_id);
	set_field(o, OBSERVED_SHORT_ID, f->short_id);
	set_field(o, OBSERVED_LEVEL, f->level);
	set_field(o, OBSERVED_RELEASE, f->release);
	set_field(o, OBSERVED_ENVIRONMENT, f->environment);
}

static void
write_title(struct text *t, const struct facts *f)
{
	size_t fit;

	f->resource->title(t, f);
	fit = text_fit_points(text_view(t), TITLE_MAX);
	if (fit < t->len) {
		t->len = fit;
		text_str(t, TEXT_ELLIPSIS);
	}
}

static void
set_source_event(struct observation *o, const struct facts *f)
{
	struct text title = { 0 }, body = { 0 }, event = { 0 };
	struct timestamp occurred;

	if (f->resource->occurred == NULL ||
	    !f->resource->occurred(&occurred, f))
		facts_sent(&occurred, f);
	write_title(&title, f);
	f->resource->body(&body, f);
	body_line_cut(&body, BODY_MAX);
	text_str(&event, "{");
	json_member_string(&event, "source", span_of("sentry"));
	member_joined(&event, "sourceType", source_type(f));
	member_joined(&event, "sourceId", source_id(f));
	json_member_string(&event, "title", text_view(&title));
	json_member_string(&event, "body", body.len > 0 ? text_view(&body) :
	    span_of(""));
	actor_add(&event, f);
	json_member_string(&event, "occurredAt", span_of(occurred.iso));
	references_add(&event, f);
	json_member(&event, "metadata");
	text_str(&event, "{");
	f->resource->metadata(&event, f);
	actor_add_triggered_by(&event, f);
	if (f->hook->backfilled) {
		json_member(&event, "backfilled");
		text_str(&event, "true");
	}
	text_str(&event, "}}");
	set_field(o, OBSERVED_TITLE, text_view(&title));
	set_field(o, OBSERVED_OCCURRED_AT, span_of(occurred.iso));
	/* JSON text has no NUL: set_field() copies it as it is. */
	set_field(o, OBSERVED_SOURCE_EVENT, text_view(&event));
	o->bytes.broken |= title.broken | body.broken | event.broken;
	text_release(&title);
	text_release(&body);
	text_release(&event);
}

static bool
is_fingerprint(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (ascii_hex_value(s.at[i]) < 0 ||
		    ascii_lower(s.at[i]) != s.at[i])
			return false;
	return s.len == SIGNATURE_FINGERPRINT_HEX;
}

static void
set_keys(struct observation *o, const struct facts *f)
{
	size_t from = o->bytes.len;
	char hex[SIGNATURE_FINGERPRINT_HEX + 1];
	struct text id_text = { 0 };
	struct span key;

	dedupe_key_add(&o->bytes, f);
	set_field_since(o, OBSERVED_DEDUPE_KEY, from);
	if (o->bytes.broken)
		return;
	key = observation_get(o, OBSERVED_DEDUPE_KEY);
	text_str(&id_text, "sentry-");
	if (is_fingerprint(key)) {
		text_span(&id_text, key);
	} else {
		signature_fingerprint(hex, key);
		text_str(&id_text, hex);
	}
	set_field(o, OBSERVED_EVENT_ID, text_view(&id_text));
	o->bytes.broken |= id_text.broken;
	text_release(&id_text);
}

/* The largest members of hooks. No observation shows anything of them. */
static const char *const unread[] = { "_meta", "annotations", "breadcrumbs",
    "contexts", "debug_meta", "errors", "evidenceData", "extra",
    "fingerprint", "grouping_config", "hashes", "modules", "post_context",
    "pre_context", "raw_stacktrace", "request", "sdk", "spans", "vars",
    NULL };

/* Makes the observation from the parsed body; `root` is JSON_MISSING if the
 * body could not be parsed. `learned` is the release that is known of the
 * issue, or { NULL, 0 }. */
static void
observe_root(struct observation *o, const struct hook *hook, struct json root,
    struct span list, struct span learned)
{
	const struct resource *r = &resource_other;
	struct span name = resource_header(hook);
	bool readable = root.kind == JSON_OBJECT;
	struct facts f;

	if (readable)
		r = resource_of(hook, root, &name, &o->mismatch);
	facts_start(&f, r, hook, root, name);
	r->find(&f);
	if (learned.at != NULL) {
		f.release = learned;
		f.learned = true;
	}
	set_field(o, OBSERVED_RESOURCE, name);
	set_field(o, OBSERVED_ACTION, f.action);
	set_field(o, OBSERVED_INSTALLATION, dedupe_key_installation(root));
	set_keys(o, &f);
	if (!readable)
		return;
	o->outcome = observe_list_has(list, name, f.action) ?
	    OUTCOME_OBSERVED : OUTCOME_IGNORED;
	o->is_event = r->is_event;
	o->needs_release = r->needs_release && f.release.len == 0 &&
	    f.issue.kind == JSON_OBJECT && f.issue_id.len > 0;
	set_fields(o, &f);
	if (o->outcome == OUTCOME_OBSERVED && !o->bytes.broken)
		set_source_event(o, &f);
}

static int
observe_learned(struct observation *o, const struct hook *hook,
    struct span list, struct span learned)
{
	struct json root;

	*o = (struct observation){ .outcome = OUTCOME_UNREADABLE };
	if (json_open_but(&root, hook->body, unread) < 0)
		return -1;
	observe_root(o, hook, root, list, learned);
	json_close(&root);
	return o->bytes.broken ? -1 : 0;
}

int
observation_make(struct observation *o, const struct hook *hook,
    struct span list)
{
	return observe_learned(o, hook, list, SPAN_NONE);
}

void
observation_release(struct observation *o)
{
	text_release(&o->bytes);
}

int
observation_set_release(struct observation *o, const struct hook *hook,
    struct span release)
{
	struct observation learned;

	if (observe_learned(&learned, hook, span_of("*"), release) != 0) {
		observation_release(&learned);
		return -1;
	}
	observation_release(o);
	*o = learned;
	return 0;
}
