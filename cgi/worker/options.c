#include "worker/options.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/args.h"
#include "hook/observe_list.h"

#define THREADS_MAX	1024
#define BODY_LIMIT_MAX	(128ul << 20)	/* bytes */
#define COMMIT_WAIT_MAX	60000		/* ms */

static const char help[] =
"Usage: sentry-webhooks [OPTION]...\n"
"       sentry-webhooks --check [OPTION]...\n"
"       sentry-webhooks --verify --signature HEX [OPTION]... [FILE]\n"
"       sentry-webhooks --erase-person WHO | --erase-project WHICH [--yes]\n"
"       sentry-webhooks --retry-bad [--db FILE | --spool DIR]\n"
"\n"
"Receives Sentry's webhooks behind nginx (FastCGI) and keeps every one in an\n"
"SQLite outbox before it answers.\n"
"\n"
"      --secret-file FILE   client secrets, one a line: [NAME] SECRET\n"
"      --db FILE            the database (outbox.db)\n"
"      --socket WHERE       listen on a path or HOST:PORT (fd 0, a socket)\n"
"      --socket-mode OCTAL  mode of the Unix socket (0660)\n"
"      --threads N          threads that serve, 16 requests each (16)\n"
"      --max-body BYTES     longest body that is taken (8388608)\n"
"      --spool DIR          where hooks wait for the database (FILE-spool)\n"
"      --commit-wait MS     how long a hook waits for the database before it\n"
"                           goes to the spool (400)\n"
"      --observe LIST       resource.action names, resource.* or *, that\n"
"                           become observations\n"
"      --redact             keep no end user's e-mail or IP address or name\n"
"      --allow-root         run as root even where that is surely not meant:\n"
"                           under systemd, or on somebody else's database\n"
"      --check              say what would be used and whether it works\n"
"      --verify             say whether, and by which secret, FILE (or\n"
"                           standard input) was signed\n"
"      --signature HEX      the signature for --verify\n"
"      --erase-person WHO   erase every hook that names this e-mail or IP\n"
"                           address, user id or name; the plan comes first\n"
"      --erase-project SLUG_OR_ID   the same for all hooks of a project\n"
"      --yes                erase without asking\n"
"      --retry-bad          try the spool's files again that were set aside\n"
"      --help, --version\n"
"\n"
"Environment: SENTRY_CLIENT_SECRET, SENTRY_CLIENT_SECRET_FILE,\n"
"SENTRY_WEBHOOKS_DB, _SOCKET, _SOCKET_MODE, _THREADS, _MAX_BODY, _SPOOL,\n"
"_COMMIT_WAIT, _OBSERVE, _REDACT (1 or 0), _ALLOW_ROOT (likewise). Options\n"
"win. Exit status: 0; 1: it does not work; 64: usage; 77: not as root.\n";

/* A path, or HOST:PORT with a port that is one. */
static void
check_socket(const char *name, const char *s)
{
	const char *colon = strrchr(s, ':');

	if (colon != NULL && strchr(s, '/') == NULL && colon != s)
		(void)args_number(name, colon + 1, 10, 1, 65535);
	else if (colon == s)
		args_usage("%s wants a path or HOST:PORT", name);
}

enum {
	SET_SECRET_FILE, SET_DB, SET_SOCKET, SET_SOCKET_MODE, SET_THREADS,
	SET_MAX_BODY, SET_SPOOL, SET_COMMIT_WAIT, SET_OBSERVE, SET_CHECK,
	SET_VERIFY, SET_SIGNATURE, SET_REDACT, SET_ALLOW_ROOT, SET_PERSON,
	SET_PROJECT, SET_YES, SET_RETRY_BAD
};

static const struct setting settings[] = {
	{ SET_SECRET_FILE, "secret-file", "SENTRY_CLIENT_SECRET_FILE", 0 },
	{ SET_DB, "db", "SENTRY_WEBHOOKS_DB", 0 },
	{ SET_SOCKET, "socket", "SENTRY_WEBHOOKS_SOCKET", 0 },
	{ SET_SOCKET_MODE, "socket-mode", "SENTRY_WEBHOOKS_SOCKET_MODE", 0 },
	{ SET_THREADS, "threads", "SENTRY_WEBHOOKS_THREADS", 0 },
	{ SET_MAX_BODY, "max-body", "SENTRY_WEBHOOKS_MAX_BODY", 0 },
	{ SET_SPOOL, "spool", "SENTRY_WEBHOOKS_SPOOL", 0 },
	{ SET_COMMIT_WAIT, "commit-wait", "SENTRY_WEBHOOKS_COMMIT_WAIT", 0 },
	{ SET_OBSERVE, "observe", "SENTRY_WEBHOOKS_OBSERVE", 0 },
	{ SET_CHECK, "check", NULL, SETTING_FLAG },
	{ SET_VERIFY, "verify", NULL, SETTING_FLAG },
	{ SET_SIGNATURE, "signature", NULL, 0 },
	{ SET_REDACT, "redact", "SENTRY_WEBHOOKS_REDACT", SETTING_FLAG },
	{ SET_ALLOW_ROOT, "allow-root", "SENTRY_WEBHOOKS_ALLOW_ROOT",
	    SETTING_FLAG },
	{ SET_PERSON, "erase-person", NULL, 0 },
	{ SET_PROJECT, "erase-project", NULL, 0 },
	{ SET_YES, "yes", NULL, SETTING_FLAG },
	{ SET_RETRY_BAD, "retry-bad", NULL, SETTING_FLAG },
};

/* A flag by its option, which comes without a value, or by its variable. */
static bool
flag(const char *name, const char *s)
{
	if (*s != '\0' && strcmp(s, "0") != 0 && strcmp(s, "1") != 0)
		args_usage("%s wants 1 or 0", name);
	return *s != '0';
}

static bool
takes_value(int which)
{
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
		if (settings[i].id == which)
			return settings[i].kind == SETTING_VALUE;
	return false;
}

/* Where a setting goes that may be any text; NULL for the others. */
static const char **
plain_text(struct options *o, int which)
{
	switch (which) {
	case SET_SECRET_FILE:
		return &o->secret_file;
	case SET_DB:
		return &o->db;
	case SET_SPOOL:
		return &o->spool;
	case SET_SIGNATURE:
		return &o->signature;
	case SET_PERSON:
		return &o->person;
	case SET_PROJECT:
		return &o->project;
	default:
		return NULL;
	}
}

static void
set(void *arg, int which, const char *name, const char *s)
{
	struct options *o = arg;

	if (*s == '\0' && which != SET_OBSERVE && takes_value(which))
		args_usage("%s wants a value", name);
	if (plain_text(o, which) != NULL)
		*plain_text(o, which) = s;
	switch (which) {
	case SET_SOCKET:
		check_socket(name, s);
		o->socket = s;
		break;
	case SET_SOCKET_MODE:
		o->socket_mode = (unsigned)args_number(name, s, 8, 0, 0777);
		break;
	case SET_THREADS:
		o->threads = (unsigned)args_number(name, s, 10, 1,
		    THREADS_MAX);
		break;
	case SET_MAX_BODY:
		o->max_body = args_number(name, s, 10, 1, BODY_LIMIT_MAX);
		break;
	case SET_COMMIT_WAIT:
		o->commit_wait = (unsigned)args_number(name, s, 10, 0,
		    COMMIT_WAIT_MAX);
		break;
	case SET_OBSERVE:
		if (!observe_list_valid(span_of(s)))
			args_usage("%s wants resource.action, resource.* or "
			    "*, separated by commas or white space", name);
		o->observe = s;
		break;
	case SET_REDACT:
		o->redact = flag(name, s);
		break;
	case SET_ALLOW_ROOT:
		o->allow_root = flag(name, s);
		break;
	case SET_YES:
		o->yes = true;
		break;
	case SET_CHECK:
		o->mode = MODE_CHECK;
		break;
	case SET_VERIFY:
		o->mode = MODE_VERIFY;
		break;
	case SET_RETRY_BAD:
		o->mode = MODE_RETRY_BAD;
		break;
	}
}

/* What systemd hands over: a folder of credentials, one of state. */
static void
fill_in(struct options *o)
{
	const char *credentials = args_variable("CREDENTIALS_DIRECTORY");
	const char *state = args_variable("STATE_DIRECTORY");

	if (o->secret_file == NULL && credentials != NULL) {
		char *file = args_join(credentials, "/sentry-client-secret");

		if (access(file, F_OK) == 0)
			o->secret_file = file;
		else
			free(file);
	}
	if (o->db == NULL)
		o->db = state == NULL ? "outbox.db" :
		    args_join(state, "/outbox.db");
	if (o->spool == NULL)
		o->spool = args_join(o->db, "-spool");
}

void
options_read(struct options *o, int argc, char *argv[])
{
	*o = (struct options){
		.socket_mode = 0660,
		.threads = 16,
		.max_body = 8388608,
		.commit_wait = 400,
		.observe = OBSERVE_LIST_DEFAULT,
	};
	const char *from_environment =
	    args_variable("SENTRY_CLIENT_SECRET_FILE");
	int next;

	args_program("sentry-webhooks", help);
	next = args_read(argc, argv, settings,
	    sizeof(settings) / sizeof(settings[0]), set, o);
	/* The option names all the secrets there are. */
	if (o->secret_file == from_environment)
		o->secret_list = args_variable("SENTRY_CLIENT_SECRET");
	if (o->mode == MODE_VERIFY && o->signature == NULL)
		args_usage("--verify wants --signature HEX");
	if (o->mode != MODE_VERIFY && o->signature != NULL)
		args_usage("--signature goes with --verify");
	if (o->person != NULL || o->project != NULL) {
		if (o->mode != MODE_SERVE ||
		    (o->person != NULL && o->project != NULL))
			args_usage("--erase-person and --erase-project go "
			    "alone");
		o->mode = MODE_ERASE;
	}
	if (o->mode != MODE_ERASE && o->yes)
		args_usage("--yes goes with --erase-person, --erase-project");
	if (o->mode == MODE_VERIFY && next < argc)
		o->file = argv[next++];
	if (next < argc)
		args_usage("an argument too many");
	fill_in(o);
}
