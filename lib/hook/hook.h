/* A request that carried a right signature. */
#ifndef HOOK_H
#define HOOK_H

#include <stdint.h>

#include "base/json.h"

/* Only the body is signed: nothing else here may be trusted, and any of it may
 * be absent. */
struct hook {
	int64_t		received_at;	/* ms since 1970 */
	struct span	resource;	/* Sentry-Hook-Resource */
	struct span	timestamp;	/* Sentry-Hook-Timestamp, seconds */
	struct span	request_id;
	struct span	idempotency_key;
	struct span	signature;	/* the header, 64 hex digits */
	struct span	secret_name;
	struct span	body;
	/* Of a body that was redacted, the key that it had before. */
	struct span	dedupe_key;
	bool		redact;		/* keep it without personal data */
};

#endif
