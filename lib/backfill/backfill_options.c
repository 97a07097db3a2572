#include "backfill/backfill_options.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/args.h"
#include "base/credential.h"
#include "hook/observe_list.h"

#define SLUG_MAX		63
#define HORIZON_DAYS		90	/* that Sentry keeps events */
#define HORIZON_DAYS_MAX	90	/* that it searches */
#define TIMEOUT_S		30

static const char backfill_help[] =
"Usage: sentry-backfill --org SLUG --token-file FILE --since TIME [OPTION]...\n"
"\n"
"Asks Sentry's REST API what happened to the issues of an organization in a\n"
"window of time, and files the hooks that never came: a plan first, then a\n"
"bar. What came is not filed again.\n"
"\n"
"      --org SLUG           the organization\n"
"      --token-file FILE    the integration's token, in its first line; it\n"
"                           needs the permissions event:read and, for --app,\n"
"                           org:read\n"
"      --since TIME         2026-01-10, 2026-01-10T20:56:00Z, 2h, 3d; or\n"
"                           auto: what Sentry has failed to deliver since the\n"
"                           last backfill, which needs --app\n"
"      --until TIME         (2 minutes ago: younger ones may be on their way)\n"
"      --app SLUG           the integration: says which of its hooks failed\n"
"      --base-url URL       of another Sentry (https://sentry.io)\n"
"      --ca FILE            certificates to trust\n"
"      --horizon DAYS       look at issues that had an event since then (90)\n"
"      --installation UUID  whose hooks these are (that of the newest hooks)\n"
"      --db FILE            the database (outbox.db)\n"
"      --observe LIST       as the worker's; what it leaves out is not filed\n"
"      --redact             as the worker's\n"
"      --timeout SECONDS    of a request (30)\n"
"      --dry-run            look, and file nothing\n"
"      --yes                do not ask\n"
"      --help, --version\n"
"\n"
"Environment: SENTRY_WEBHOOKS_DB, SENTRY_WEBHOOKS_OBSERVE,\n"
"SENTRY_WEBHOOKS_REDACT (1 or 0): the worker's own. Options win. Exit status:\n"
"0: done; 1: refused, or failed; 64: usage; 75: cut: the same command goes on\n"
"where it was.\n";

enum {
	SET_ORG, SET_APP, SET_TOKEN_FILE, SET_BASE, SET_CA, SET_INSTALLATION,
	SET_SINCE, SET_UNTIL, SET_DB, SET_OBSERVE, SET_REDACT, SET_HORIZON,
	SET_TIMEOUT, SET_DRY_RUN, SET_YES
};

static const struct setting settings[] = {
	{ SET_ORG, "org", NULL, 0 },
	{ SET_APP, "app", NULL, 0 },
	{ SET_TOKEN_FILE, "token-file", NULL, 0 },
	{ SET_BASE, "base-url", NULL, 0 },
	{ SET_CA, "ca", NULL, 0 },
	{ SET_INSTALLATION, "installation", NULL, 0 },
	{ SET_SINCE, "since", NULL, 0 },
	{ SET_UNTIL, "until", NULL, 0 },
	{ SET_DB, "db", "SENTRY_WEBHOOKS_DB", 0 },
	{ SET_OBSERVE, "observe", "SENTRY_WEBHOOKS_OBSERVE", SETTING_TEXT },
	{ SET_REDACT, "redact", "SENTRY_WEBHOOKS_REDACT", SETTING_FLAG },
	{ SET_HORIZON, "horizon", NULL, 0 },
	{ SET_TIMEOUT, "timeout", NULL, 0 },
	{ SET_DRY_RUN, "dry-run", NULL, SETTING_FLAG },
	{ SET_YES, "yes", NULL, SETTING_FLAG },
};

/* Slugs become parts of paths, a uuid a part of a hook. */
static const char *
backfill_options_slug(const char *name, const char *s)
{
	if (strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_-"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != strlen(s) ||
	    strlen(s) > SLUG_MAX)
		args_usage("%s wants up to %d letters, digits, _ and -", name,
		    SLUG_MAX);
	return s;
}

/* Nothing but scheme, host, port and the path of a Sentry. */
static const char *
backfill_options_base(const char *name, const char *s)
{
	char *base = args_join(s, "");
	size_t n = strlen(base), scheme = strncasecmp(s, "https://", 8) == 0 ?
	    8 : strncasecmp(s, "http://", 7) == 0 ? 7 : 0;

	/* Of https:/// the host would be the first part of the path. */
	if (scheme == 0 || strchr("/:", s[scheme]) != NULL ||
	    strpbrk(s, "@?#") != NULL)
		args_usage("%s wants http(s)://HOST, without a user or a query",
		    name);
	while (n > 0 && base[n - 1] == '/')
		base[--n] = '\0';
	return base;
}

static void
backfill_options_set(void *arg, int which, const char *name, const char *s)
{
	struct backfill_options *o = arg;

	switch (which) {
	case SET_ORG:
		o->org = backfill_options_slug(name, s);
		break;
	case SET_APP:
		o->app = backfill_options_slug(name, s);
		break;
	case SET_TOKEN_FILE:
		o->token_file = s;
		break;
	case SET_BASE:
		o->base = backfill_options_base(name, s);
		break;
	case SET_CA:
		o->ca = s;
		break;
	case SET_INSTALLATION:
		o->installation = backfill_options_slug(name, s);
		break;
	case SET_SINCE:
		o->is_auto = strcmp(s, "auto") == 0;
		o->since = s;
		if (!o->is_auto)
			o->since_ms = args_time(name, s);
		break;
	case SET_UNTIL:
		o->until = s;
		o->until_ms = args_time(name, s);
		break;
	case SET_DB:
		o->db = s;
		break;
	case SET_OBSERVE:
		if (!observe_list_valid(span_of(s)))
			args_usage("%s wants names like issue.created or "
			    "issue.*, or *", name);
		o->observe = s;
		break;
	case SET_REDACT:
		o->redact = args_flag(name, s);
		break;
	case SET_HORIZON:
		o->horizon = (unsigned)args_number(name, s, 10, 1,
		    HORIZON_DAYS_MAX);
		break;
	case SET_TIMEOUT:
		o->timeout = (unsigned)args_number(name, s, 10, 1, 600);
		break;
	case SET_DRY_RUN:
		o->dry_run = true;
		break;
	case SET_YES:
		o->yes = true;
		break;
	}
}

/* It becomes a header's value. */
static void
backfill_options_token(struct backfill_options *o)
{
	const char *why;

	if ((o->token = credential_read(o->token_file, &why)) == NULL)
		args_usage("%s: there is no token in this file: %s",
		    o->token_file, why);
	for (const char *s = o->token; *s != '\0'; s++)
		if (!isgraph((unsigned char)*s))
			args_usage("%s: its first line is no token: there is "
			    "a blank in it, or a control character",
			    o->token_file);
}

void
backfill_options_read(struct backfill_options *o, int argc, char *argv[])
{
	*o = (struct backfill_options){ .base = "https://sentry.io",
	    .observe = OBSERVE_LIST_DEFAULT, .horizon = HORIZON_DAYS,
	    .timeout = TIMEOUT_S };
	args_program("sentry-backfill", backfill_help);
	if (args_read(argc, argv, settings,
	    sizeof(settings) / sizeof(settings[0]),
	    backfill_options_set, o) < argc)
		args_usage("an argument too many");
	if (o->org == NULL || o->token_file == NULL || o->since == NULL)
		args_usage("--org, --token-file and --since are needed");
	if (o->is_auto && o->app == NULL)
		args_usage("--since auto needs --app");
	if (o->db == NULL)
		o->db = args_default_db();
	backfill_options_token(o);
}

void
backfill_options_selection(const struct backfill_options *o,
    char out[BACKFILL_SELECTION])
{
	snprintf(out, BACKFILL_SELECTION, "--since %s%s%s --horizon %u "
	    "--org %s --base-url %s%s%s --observe %s", o->since,
	    o->until == NULL ? "" : " --until ",
	    o->until == NULL ? "" : o->until, o->horizon, o->org, o->base,
	    o->installation == NULL ? "" : " --installation ",
	    o->installation == NULL ? "" : o->installation, o->observe);
}

