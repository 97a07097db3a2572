/* A .hook file (tests/golden has many) -> an observation: what holds for
 * every one of them. */
#include "../tests/support/hook-file.h"
#include "sink/envelope.h"
#include "fuzz.h"
#include "hook/body_line.h"
#include "base/timestamp.h"
#include "hook/observation.h"
#include "hook/signature.h"
#include "hook/title.h"

#define GROWTH	32	/* how much longer a source event may be */
#define LEARNED	"web@0123456789abcdef0123456789abcdef01234567"

static bool
equal(struct span a, struct span b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) ==
	    0);
}

static bool
starts(struct span *s, struct span with)
{
	if (s->len < with.len ||
	    !equal((struct span){ s->at, with.len }, with))
		return false;
	s->at += with.len;
	s->len -= with.len;
	return true;
}

static bool
plain(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.at[i] <= 0x20 || s.at[i] >= 0x7f)
			return false;
	return true;
}

/* The installation's uuid, or its hash where that is none; the resource. */
static void
check_keys(const struct observation *o)
{
	struct span key = observation_get(o, OBSERVED_DEDUPE_KEY);
	struct span id = observation_get(o, OBSERVED_EVENT_ID);
	struct span uuid = observation_get(o, OBSERVED_INSTALLATION);
	char hex[SIGNATURE_FINGERPRINT_HEX + 1];

	claim(plain(key));
	signature_fingerprint(hex, key);
	claim(starts(&id, span_of("sentry-")) && span_is(id, hex));
	if (uuid.len > 128 || !plain(uuid) || (uuid.len > 0 &&
	    memchr(uuid.at, ':', uuid.len) != NULL)) {
		claim(starts(&key, span_of("sha256-")));
		claim(key.len > SIGNATURE_FINGERPRINT_HEX);
		key.at += SIGNATURE_FINGERPRINT_HEX;
		key.len -= SIGNATURE_FINGERPRINT_HEX;
	} else {
		claim(starts(&key, uuid));
	}
	claim(starts(&key, span_of(":")));
	claim(starts(&key, observation_get(o, OBSERVED_RESOURCE)));
	claim(starts(&key, span_of(":")));
	claim(key.len > 0 && key.len < 1024);
}

static struct span
text_in(struct json event, const char *name)
{
	struct json v = json_get(event, name);

	claim(v.kind == JSON_STRING);
	return json_string(v);
}

/* A column is the member, but for NULs, which columns do not hold. */
static void
check_column(
    const struct observation *o, enum observation_field f, struct span s)
{
	claim(s.len > 0 || observation_get(o, OBSERVED_RESOURCE).len == 0);
	claim(memchr(s.at, '\0', s.len) != NULL ||
	    equal(observation_get(o, f), s));
}

static void
check_occurred(struct span s)
{
	struct timestamp m;

	claim(timestamp_iso(&m, s) && span_is(s, m.iso));
}

static void
check_members(const struct observation *o, struct json event)
{
	struct json metadata = json_get(event, "metadata");
	struct span title = text_in(event, "title");

	claim(span_is(text_in(event, "source"), "sentry"));
	check_column(o, OBSERVED_SOURCE_TYPE, text_in(event, "sourceType"));
	check_column(o, OBSERVED_SOURCE_ID, text_in(event, "sourceId"));
	check_column(o, OBSERVED_TITLE, title);
	claim(fuzz_points(title) <= TITLE_MAX);
	claim(text_in(event, "body").len <= BODY_MAX);
	check_column(o, OBSERVED_OCCURRED_AT, text_in(event, "occurredAt"));
	check_occurred(text_in(event, "occurredAt"));
	claim(json_get(event, "references").kind == JSON_ARRAY);
	claim(metadata.kind == JSON_OBJECT);
	claim(json_get_scalar(metadata, "errorValue").len <= MESSAGE_MAX);
}

static void
check_event(const struct observation *o, size_t body)
{
	struct span source = observation_get(o, OBSERVED_SOURCE_EVENT);
	struct envelope e = { observation_get(o, OBSERVED_EVENT_ID), 1,
	    span_of("w"), span_of("s"), source };
	struct text t = { 0 };
	struct json event;

	claim(fuzz_json_valid(source));
	claim(fuzz_points(source) >= 0);
	claim(source.len < GROWTH * (body + 64));
	claim(json_open(&event, source) == 0);
	check_members(o, event);
	json_close(&event);
	envelope_write(&t, &e);
	claim(fuzz_json_valid(text_view(&t)));
	text_release(&t);
}

static void
check_learned(struct observation *o, const struct hook_file *f,
    struct span release, size_t body)
{
	struct json event, metadata;

	claim(observation_set_release(o, &f->hook, release) == 0);
	claim(!o->needs_release);
	claim(equal(observation_get(o, OBSERVED_RELEASE), release));
	check_event(o, body + release.len);
	claim(json_open(&event, observation_get(o, OBSERVED_SOURCE_EVENT)) ==
	    0);
	metadata = json_get(event, "metadata");
	claim(equal(text_in(metadata, "release"), release));
	claim(span_is(text_in(metadata, "releaseFrom"), "issue"));
	claim(equal(text_in(json_at(json_get(event, "references"), 0), "id"),
	    release));
	json_close(&event);
}

static void
check_fields(const struct observation *o)
{
	for (int f = 0; f < OBSERVED_FIELDS; f++) {
		struct span s = observation_get(o, (enum observation_field)f);

		claim(fuzz_points(s) >= 0);
		claim(s.at == NULL || memchr(s.at, '\0', s.len) == NULL);
	}
}

static void
same_again(const struct observation *o, const struct hook_file *f)
{
	struct observation again;

	claim(observation_make(&again, &f->hook, f->observe) == 0);
	claim(again.outcome == o->outcome);
	claim(equal(text_view(&again.bytes), text_view(&o->bytes)));
	observation_release(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hook_file f;
	struct observation o;
	struct json root;

	claim(signature_start() == 0);
	hook_file_read(&f, (struct span){
	    size > 0 ? (const char *)data : "", size });
	/* The clock's, not anybody's. */
	f.hook.received_at &= (1ll << 47) - 1;
	claim(observation_make(&o, &f.hook, f.observe) == 0);
	claim((json_open(&root, f.hook.body) == 0) ==
	    (o.outcome != OUTCOME_UNREADABLE));
	json_close(&root);
	check_keys(&o);
	check_fields(&o);
	same_again(&o, &f);
	if (o.outcome == OUTCOME_OBSERVED) {
		check_event(&o, size);
		if (o.needs_release)
			check_learned(&o, &f, f.learned.len > 0 &&
			    fuzz_points(f.learned) >= 0 &&
			    memchr(f.learned.at, '\0', f.learned.len) == NULL ?
			    f.learned : span_of(LEARNED), size);
	}
	observation_release(&o);
	return 0;
}
