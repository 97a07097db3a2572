/* Spool files: what is read of one is what was written into it, and a torn
 * one is not a hook. The input is a file without its fingerprint, which no
 * engine would guess. */
#include "fuzz.h"
#include "store/spool_file.h"
#include "hook/signature.h"

static bool
equal(struct span a, struct span b)
{
	return (a.at == NULL) == (b.at == NULL) && a.len == b.len &&
	    (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

static void
come_back(const struct hook *h)
{
	struct text file = { 0 };
	struct hook again;

	spool_file_format(&file, h);
	claim(spool_file_parse(&again, text_view(&file)));
	claim(again.received_at == h->received_at);
	claim(equal(again.resource, h->resource));
	claim(equal(again.timestamp, h->timestamp));
	claim(equal(again.request_id, h->request_id));
	claim(equal(again.idempotency_key, h->idempotency_key));
	claim(equal(again.signature, h->signature));
	claim(equal(again.secret_name, h->secret_name));
	claim(equal(again.dedupe_key, h->dedupe_key));
	claim(equal(again.body, h->body));
	text_release(&file);
}

/* One end missing, one bit wrong, one byte too many; where, the input's first
 * bytes have a say in. */
static void
torn(struct text *file, size_t dice)
{
	struct span s = text_view(file);
	struct hook h;

	claim(!spool_file_parse(&h, (struct span){ s.at, s.len - 1 -
	    dice % s.len }));
	file->at[dice % file->len] ^= (char)(1 << dice % 8);
	claim(!spool_file_parse(&h, text_view(file)));
	file->at[dice % file->len] ^= (char)(1 << dice % 8);
	text_str(file, "0");
	claim(!spool_file_parse(&h, text_view(file)));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct text file = { 0 };
	char hex[SIGNATURE_FINGERPRINT_HEX + 1];
	struct hook h;

	text_add(&file, (const char *)data, size);
	signature_fingerprint(hex, text_view(&file));
	text_str(&file, hex);
	if (spool_file_parse(&h, text_view(&file))) {
		come_back(&h);
		torn(&file, (size_t)h.received_at * 31 + size);
	}
	text_release(&file);
	return 0;
}
