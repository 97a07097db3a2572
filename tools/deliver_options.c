#include "deliver_options.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/args.h"
#include "base/credential.h"

#define STREAM_CHARACTERS	64	/* of a stream's name, at most */

static const char help[] =
"Usage: sentry-deliver --to URL [OPTION]...\n"
"\n"
"Takes pending rows from the outbox of sentry-webhooks to a sink, and marks\n"
"them delivered once that has said so.\n"
"\n"
"      --to URL             http(s)://...   an Inngest event API (BASE/e/KEY)\n"
"                           nats://..., tls://...   NATS JetStream\n"
"                           -               standard output, one a line\n"
"                           Keys on a command line are seen by others: use\n"
"                           the environment or a file\n"
"      --to-file FILE       the URL from a file\n"
"      --db FILE            the database (outbox.db)\n"
"      --once               end when nothing is due any more\n"
"      --max-attempts N     then a row is dead (20)\n"
"      --keep DAYS          delete settled rows that are older (30; 0: never)\n"
"      --metrics FILE       write metrics for node_exporter's collector\n"
"      --timeout SECONDS    for an answer (30)\n"
"      --batch N            events in a request, at most (500; together a\n"
"                           mebibyte)\n"
"      --requests N         requests in flight (4)\n"
"      --stream NAME        JetStream's stream (SENTRY)\n"
"      --create-stream      make it if it is not there\n"
"      --replicas N         of a stream that is made (1)\n"
"      --settle SECONDS     until what JetStream has acknowledged counts as\n"
"                           delivered, if it is still there (150)\n"
"      --nats-creds FILE    credentials for NATS (a .creds file)\n"
"      --nats-user-file FILE   `USER PASSWORD' for NATS\n"
"      --nats-ca FILE       certificates to trust; TLS is a must then\n"
"      --help, --version\n"
"\n"
"Environment: SENTRY_DELIVER_TO, or INNGEST_EVENT_KEY with INNGEST_BASE_URL\n"
"(https://inn.gs); SENTRY_DELIVER_TO_FILE; SENTRY_WEBHOOKS_DB. A file\n"
"$CREDENTIALS_DIRECTORY/sentry-deliver-to is read if it is there. Options\n"
"win. Exit status: 0; 1: something is left after --once, or it cannot work;\n"
"64: usage; 75: another sentry-deliver has this database.\n";

enum {
	SET_TO, SET_TO_FILE, SET_DB, SET_ONCE, SET_MAX_ATTEMPTS, SET_KEEP,
	SET_METRICS, SET_TIMEOUT, SET_BATCH, SET_REQUESTS, SET_STREAM,
	SET_CREATE, SET_REPLICAS, SET_SETTLE, SET_CREDS, SET_USER_FILE,
	SET_CA,
	SETTINGS
};

static const struct setting settings[SETTINGS] = {
	{ SET_TO, "to", "SENTRY_DELIVER_TO", 0 },
	{ SET_TO_FILE, "to-file", "SENTRY_DELIVER_TO_FILE", 0 },
	{ SET_DB, "db", "SENTRY_WEBHOOKS_DB", 0 },
	{ SET_ONCE, "once", NULL, SETTING_FLAG },
	{ SET_MAX_ATTEMPTS, "max-attempts", NULL, 0 },
	{ SET_KEEP, "keep", NULL, 0 },
	{ SET_METRICS, "metrics", NULL, 0 },
	{ SET_TIMEOUT, "timeout", NULL, 0 },
	{ SET_BATCH, "batch", NULL, 0 },
	{ SET_REQUESTS, "requests", NULL, 0 },
	{ SET_STREAM, "stream", NULL, 0 },
	{ SET_CREATE, "create-stream", NULL, SETTING_FLAG },
	{ SET_REPLICAS, "replicas", NULL, 0 },
	{ SET_SETTLE, "settle", NULL, 0 },
	{ SET_CREDS, "nats-creds", NULL, 0 },
	{ SET_USER_FILE, "nats-user-file", NULL, 0 },
	{ SET_CA, "nats-ca", NULL, 0 },
};

/* Where a setting is kept as it is, and what it is if nobody gives it; of a
 * number also its limits. Those that are not in this table set more than one
 * member, or are checked further: set_option(). */
static const struct target {
	enum { SET_OTHER, SET_TEXT, SET_FLAG, SET_NUMBER } kind;
	size_t		 at;	/* in struct deliver_options */
	unsigned	 unset, least, most;
} targets[SETTINGS] = {
#define AT(member)	offsetof(struct deliver_options, member)
	[SET_DB] = { SET_TEXT, AT(db), 0, 0, 0 },
	[SET_ONCE] = { SET_FLAG, AT(once), 0, 0, 0 },
	[SET_MAX_ATTEMPTS] = { SET_NUMBER, AT(max_attempts), 20, 1, 1000 },
	[SET_KEEP] = { SET_NUMBER, AT(keep_days), 30, 0, 36500 },
	[SET_METRICS] = { SET_TEXT, AT(metrics), 0, 0, 0 },
	[SET_TIMEOUT] = { SET_NUMBER, AT(timeout_s), 30, 1, 600 },
	[SET_BATCH] = { SET_NUMBER, AT(batch_events), 500, 1, 5000 },
	[SET_REQUESTS] = { SET_NUMBER, AT(requests), 4, 1, 64 },
	[SET_CREATE] = { SET_FLAG, AT(create_stream), 0, 0, 0 },
	[SET_REPLICAS] = { SET_NUMBER, AT(replicas), 1, 1, 5 },
	[SET_SETTLE] = { SET_NUMBER, AT(settle_s), 150, 0, 86400 },
	[SET_CREDS] = { SET_TEXT, AT(creds), 0, 0, 0 },
	[SET_USER_FILE] = { SET_TEXT, AT(user_file), 0, 0, 0 },
	[SET_CA] = { SET_TEXT, AT(ca), 0, 0, 0 },
#undef AT
};

static void *
member_of(struct deliver_options *o, int which)
{
	return (char *)o + targets[which].at;
}

static void
set_stream(struct deliver_options *o, const char *name, const char *s)
{
	if (strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_-"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != strlen(s) ||
	    strlen(s) > STREAM_CHARACTERS)
		args_usage("%s wants up to %d letters, digits, _ and -",
		    name, STREAM_CHARACTERS);
	o->stream = s;
}

/* --to and --to-file say the same: the last one counts. Without them it is the
 * first variable that is set. */
static void
set_to(struct deliver_options *o, int which, const char *name, const char *s)
{
	bool variable = name[0] != '-';

	if (variable && (o->to != NULL || o->to_file != NULL))
		return;
	free(o->to);
	o->to = NULL;
	o->to_name = variable ? name : "--to";
	o->to_file = which == SET_TO_FILE ? s : NULL;
	if (which == SET_TO_FILE) {
		if (strstr(s, "://") != NULL)
			args_usage("%s wants the name of a file: the URL goes "
			    "into that file", name);
		return;
	}
	o->to = args_join(s, "");
	/* The key in it must not stand in the list of processes. */
	if (!variable)
		memset((char *)(uintptr_t)s, '*', strlen(s));
}

static void
set_option(void *arg, int which, const char *name, const char *s)
{
	struct deliver_options *o = arg;
	const struct target *t = &targets[which];

	switch (t->kind) {
	case SET_TEXT:
		*(const char **)member_of(o, which) = s;
		break;
	case SET_FLAG:
		*(bool *)member_of(o, which) = true;
		break;
	case SET_NUMBER:
		*(unsigned *)member_of(o, which) = (unsigned)args_number(name,
		    s, 10, t->least, t->most);
		break;
	case SET_OTHER:
		if (which == SET_STREAM)
			set_stream(o, name, s);
		else
			set_to(o, which, name, s);
		break;
	}
}

/* Reads the URL from a file, which messages name from then on. */
static void
read_to_file(struct deliver_options *o, const char *file)
{
	const char *why;

	o->to_name = file;
	if ((o->to = credential_read(file, &why)) == NULL)
		args_usage("%s: there is no URL in this file: %s", file, why);
}

/* systemd's LoadCredential= puts a file there. */
static void
read_to_credential(struct deliver_options *o)
{
	const char *file = args_variable("CREDENTIALS_DIRECTORY");

	if (file != NULL)
		file = args_join(file, "/sentry-deliver-to");
	if (file != NULL && access(file, F_OK) == 0)
		read_to_file(o, file);
}

/* The variables of Inngest's own libraries. */
static void
read_inngest_variables(struct deliver_options *o)
{
	const char *key = args_variable("INNGEST_EVENT_KEY");
	const char *base = args_variable("INNGEST_BASE_URL");
	char *start;

	if (key == NULL)
		return;
	base = base == NULL ? "https://inn.gs" : base;
	start = args_join(base, base[strlen(base) - 1] == '/' ? "e/" : "/e/");
	o->to = args_join(start, key);
	o->to_name = "INNGEST_BASE_URL";
	free(start);
}

static const struct scheme {
	const char		*begins;
	enum deliver_kind	 kind;
} schemes[] = {
	{ "http://", DELIVER_HTTP }, { "https://", DELIVER_HTTP },
	{ "nats://", DELIVER_NATS }, { "tls://", DELIVER_NATS },
};

/* NULL for another scheme, or none. */
static const struct scheme *
scheme_of(const char *url)
{
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
		if (strncasecmp(url, schemes[i].begins,
		    strlen(schemes[i].begins)) == 0)
			return &schemes[i];
	return NULL;
}

/* Where rows go: by an option, else a variable, else a credential. */
static void
find_to(struct deliver_options *o)
{
	if (o->to_file != NULL)
		read_to_file(o, o->to_file);
	else if (o->to == NULL)
		read_inngest_variables(o);
	if (o->to == NULL)
		read_to_credential(o);
	if (o->to == NULL)
		args_usage("where to? give --to URL or SENTRY_DELIVER_TO");
	if (scheme_of(o->to) == NULL && strcmp(o->to, "-") != 0)
		args_usage("%s: the URL must begin with http://, https://, "
		    "nats:// or tls://, or be -", o->to_name);
}

void
deliver_options_read(struct deliver_options *o, int argc, char *argv[])
{
	*o = (struct deliver_options){ .stream = "SENTRY" };
	for (int i = 0; i < SETTINGS; i++)
		if (targets[i].kind == SET_NUMBER)
			*(unsigned *)member_of(o, i) = targets[i].unset;
	args_program("sentry-deliver", help);
	if (args_read(argc, argv, settings, SETTINGS, set_option, o) < argc)
		args_usage("an argument too many");
	find_to(o);
	if (o->db == NULL)
		o->db = args_default_db();
}

void
deliver_options_release(struct deliver_options *o)
{
	free(o->to);
}

enum deliver_kind
deliver_options_kind(const struct deliver_options *o)
{
	const struct scheme *scheme = scheme_of(o->to);

	return scheme == NULL ? DELIVER_PRINT : scheme->kind;
}
