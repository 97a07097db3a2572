/* A .hook file's body without personal data: JSON stays JSON, and there is
 * nothing more to take away. Its Request-ID is a person to look for. */
#include "../tests/support/hook-file.h"
#include "fuzz.h"
#include "hook/redact.h"

#define GROWTH	8	/* how much longer it may be */

static void
check(struct span redacted, size_t size)
{
	struct text again = { 0 };
	struct json root;

	claim(fuzz_json_valid(redacted));
	claim(fuzz_points(redacted) >= 0);
	claim(redacted.len <= GROWTH * size);
	claim(json_open(&root, redacted) == 0);
	json_close(&root);
	claim(redact(&again, redacted) == 0);
	claim(again.len == redacted.len &&
	    memcmp(again.at, redacted.at, again.len) == 0);
	text_release(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hook_file f;
	struct text t = { 0 };
	struct json root;
	bool json;
	int rc;

	hook_file_read(&f, (struct span){
	    size > 0 ? (const char *)data : "", size });
	json = json_open(&root, f.hook.body) == 0;
	json_close(&root);
	rc = redact(&t, f.hook.body);
	claim(rc == 0 || (rc == 1 && !json));
	if (json)
		check(text_view(&t), size);
	text_release(&t);
	if (f.hook.request_id.len > 0) {
		rc = redact_mentions(f.hook.body, f.hook.request_id);
		claim(rc == 0 || rc == 1);
	}
	return 0;
}
