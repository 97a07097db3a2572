#include "hook/dedupe_key.h"

#include "base/ascii.h"
#include "hook/signature.h"

#define KEY_PART_MAX	128	/* bytes; longer parts are hashed */
#define IDEMPOTENCY_HEX	32	/* hex digits of Sentry's Idempotency-Key */

struct span
dedupe_key_installation(struct json root)
{
	return json_string(json_get(json_get(root, "installation"), "uuid"));
}

static void
add_hash(struct text *key, struct span s)
{
	char hex[SIGNATURE_FINGERPRINT_HEX + 1];

	signature_fingerprint(hex, s);
	text_str(key, hex);
}

void
dedupe_key_part(struct text *key, const char *tag, struct span s)
{
	bool plain = s.len <= KEY_PART_MAX;

	text_str(key, tag);
	for (size_t i = 0; i < s.len && plain; i++)
		plain = s.at[i] > 0x20 && s.at[i] < 0x7f && s.at[i] != ':';
	if (plain) {
		text_span(key, s);
		return;
	}
	text_str(key, "sha256-");
	add_hash(key, s);
}

bool
dedupe_key_of_body(struct text *key, const struct facts *f, struct span id)
{
	if (f->action.len == 0 || id.len == 0)
		return false;
	dedupe_key_part(key, "", f->action);
	dedupe_key_part(key, ":", id);
	text_str(key, ":");
	add_hash(key, f->hook->body);
	return true;
}

/* 32 hex digits, added in lower case. */
static bool
add_idempotency_key(struct text *key, struct span s)
{
	char hex[IDEMPOTENCY_HEX];

	if (s.len != IDEMPOTENCY_HEX)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		if (ascii_hex_value(s.at[i]) < 0)
			return false;
		hex[i] = ascii_lower(s.at[i]);
	}
	text_str(key, "idempotency-key:");
	text_add(key, hex, sizeof(hex));
	return true;
}

void
dedupe_key_add(struct text *key, const struct facts *f)
{
	const struct hook *hook = f->hook;

	if (hook->dedupe_key.at != NULL) {
		text_span(key, hook->dedupe_key);
		return;
	}
	dedupe_key_part(key, "", dedupe_key_installation(f->root));
	text_str(key, ":");
	text_span(key, f->name);
	text_str(key, ":");
	if (add_idempotency_key(key, hook->idempotency_key) ||
	    (f->resource->key != NULL && f->resource->key(key, f)))
		return;
	if (hook->request_id.len > 0) {
		dedupe_key_part(key, "request-id:", hook->request_id);
		return;
	}
	dedupe_key_part(key, "signature:", hook->signature);
	dedupe_key_part(key, ":", hook->timestamp);
}
