#include "store/spool_file.h"

#include "hook/signature.h"

#define FORM_LINE	"sentry-webhooks spool 1\n"	/* and its version */

static void
add_value(struct text *t, const char *name, struct span value)
{
	if (value.at == NULL)
		return;
	text_str(t, name);
	text_str(t, ": ");
	text_span(t, value);
	text_str(t, "\n");
}

void
spool_file_format(struct text *t, const struct hook *h)
{
	char hex[SIGNATURE_FINGERPRINT_HEX + 1];

	text_str(t, FORM_LINE "received: ");
	text_int(t, h->received_at);
	text_str(t, "\n");
	add_value(t, "resource", h->resource);
	add_value(t, "timestamp", h->timestamp);
	add_value(t, "request-id", h->request_id);
	add_value(t, "idempotency-key", h->idempotency_key);
	add_value(t, "signature", h->signature);
	add_value(t, "secret", h->secret_name);
	add_value(t, "key", h->dedupe_key);
	text_str(t, "length: ");
	text_int(t, (int64_t)h->body.len);
	text_str(t, "\n\n");
	text_span(t, h->body);
	signature_fingerprint(hex, text_view(t));
	text_str(t, hex);
}

static bool
parse_number(struct span s, int64_t *n)
{
	return span_take_number(&s, INT64_MAX, n) && s.len == 0;
}

static bool
parse_line(struct hook *h, int64_t *length, struct span line)
{
	const struct {
		const char	*name;
		struct span	*to;
	} table[] = {
		{ "resource", &h->resource }, { "timestamp", &h->timestamp },
		{ "request-id", &h->request_id },
		{ "idempotency-key", &h->idempotency_key },
		{ "signature", &h->signature }, { "secret", &h->secret_name },
		{ "key", &h->dedupe_key },
	};
	const char *colon = memchr(line.at, ':', line.len);
	struct span name, value;

	if (colon == NULL || colon + 2 > line.at + line.len ||
	    colon[1] != ' ')
		return false;
	name = (struct span){ line.at, (size_t)(colon - line.at) };
	value = (struct span){ colon + 2, line.len - name.len - 2 };
	if (span_is(name, "received"))
		return parse_number(value, &h->received_at);
	if (span_is(name, "length"))
		return parse_number(value, length);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (span_is(name, table[i].name)) {
			*table[i].to = value;
			return true;
		}
	return false;
}

bool
spool_file_parse(struct hook *h, struct span file)
{
	struct span rest = file;
	int64_t length = -1;
	char hex[SIGNATURE_FINGERPRINT_HEX + 1];

	*h = (struct hook){ .received_at = -1 };
	if (rest.len < sizeof(FORM_LINE) - 1 ||
	    memcmp(rest.at, FORM_LINE, sizeof(FORM_LINE) - 1) != 0)
		return false;
	rest.at += sizeof(FORM_LINE) - 1;
	rest.len -= sizeof(FORM_LINE) - 1;
	while (rest.len > 0 && rest.at[0] != '\n') {
		const char *end = memchr(rest.at, '\n', rest.len);
		size_t len = end == NULL ? 0 : (size_t)(end - rest.at);

		if (len == 0 ||
		    !parse_line(h, &length, (struct span){ rest.at, len }))
			return false;
		rest.at += len + 1;
		rest.len -= len + 1;
	}
	if (length < 0 || h->received_at < 0 ||
	    rest.len != 1 + (size_t)length + SIGNATURE_FINGERPRINT_HEX)
		return false;
	h->body = (struct span){ rest.at + 1, (size_t)length };
	signature_fingerprint(hex, (struct span){ file.at,
	    file.len - SIGNATURE_FINGERPRINT_HEX });
	return memcmp(hex, file.at + file.len - SIGNATURE_FINGERPRINT_HEX,
	    SIGNATURE_FINGERPRINT_HEX) == 0;
}
