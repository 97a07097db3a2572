/* A hook: a request whose signature was valid. */
#ifndef HOOK_H
#define HOOK_H

#include <stdint.h>

#include "base/json.h"

/* Only the body is signed: the other members come from headers that anybody may
 * have changed. Any of them may be missing. All spans are borrowed. */
struct hook {
	int64_t		received_at;	/* ms since 1970 */
	struct span	resource;	/* Sentry-Hook-Resource */
	struct span	timestamp;	/* Sentry-Hook-Timestamp, seconds */
	struct span	request_id;
	struct span	idempotency_key;
	struct span	signature;	/* the header, 64 hex digits */
	struct span	secret_name;
	struct span	body;
	struct span	dedupe_key;	/* of a redacted body: the hash, in hex,
					 * of the key that it had before */
	bool		redact;		/* store it without personal data */
	bool		backfilled;	/* made of what Sentry's API says */
};

#endif
