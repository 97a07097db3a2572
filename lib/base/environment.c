#include "base/environment.h"

#include <unistd.h>

#include "base/log.h"

static const char *const ours[] = {
	"SENTRY_WEBHOOKS_", "SENTRY_DELIVER_", "SENTRY_CLIENT_SECRET", NULL
};

/* The settings of all programs. tests/system/test-messages.py compares the list
 * with their --help. */
static const char *const known[] = {
	"SENTRY_CLIENT_SECRET", "SENTRY_CLIENT_SECRET_FILE",
	"SENTRY_DELIVER_TO", "SENTRY_DELIVER_TO_FILE",
	"SENTRY_WEBHOOKS_ALLOW_ROOT", "SENTRY_WEBHOOKS_COMMIT_WAIT",
	"SENTRY_WEBHOOKS_DB", "SENTRY_WEBHOOKS_MAX_BODY",
	"SENTRY_WEBHOOKS_OBSERVE", "SENTRY_WEBHOOKS_PAGE_SOCKET",
	"SENTRY_WEBHOOKS_PAGE_SOCKET_MODE", "SENTRY_WEBHOOKS_PAGE_THREADS",
	"SENTRY_WEBHOOKS_REDACT", "SENTRY_WEBHOOKS_SOCKET",
	"SENTRY_WEBHOOKS_SOCKET_MODE", "SENTRY_WEBHOOKS_SPOOL",
	"SENTRY_WEBHOOKS_THREADS", NULL
};

static bool
is_ours(struct span name)
{
	for (size_t i = 0; ours[i] != NULL; i++)
		if (name.len >= strlen(ours[i]) &&
		    memcmp(name.at, ours[i], strlen(ours[i])) == 0)
			return true;
	return false;
}

static bool
is_known(struct span name)
{
	for (size_t i = 0; known[i] != NULL; i++)
		if (span_is(name, known[i]))
			return true;
	return false;
}

void
environment_warn_unknown(void)
{
	struct log l;

	for (char **e = environ; e != NULL && *e != NULL; e++) {
		struct span name = { *e, strcspn(*e, "=") };

		if (!is_ours(name) || is_known(name))
			continue;
		log_begin(&l, "warning", "environment");
		log_span(&l, "name", name);
		log_str(&l, "msg", "no program of ours has such a setting: "
		    "see --help; some have an option only");
		log_end(&l);
	}
}
