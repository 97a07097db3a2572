#include "worker/options.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/args.h"
#include "hook/observe_list.h"
#include "hook/secrets.h"

/* The help and the man page name the defaults, too. */
#define OPTIONS_THREADS		16
#define OPTIONS_THREADS_MAX	1024
#define OPTIONS_BODY		8388608		/* bytes */
#define OPTIONS_BODY_MAX	(128ul << 20)	/* bytes */
#define OPTIONS_COMMIT_WAIT	400		/* ms */
#define OPTIONS_COMMIT_WAIT_MAX	60000		/* ms */

static const char help[] =
"Usage: sentry-webhooks [OPTION]...\n"
"       sentry-webhooks --check [OPTION]...\n"
"       sentry-webhooks --verify --signature HEX [OPTION]... [FILE]\n"
"       sentry-webhooks --erase-person WHO | --erase-project WHICH [--yes]\n"
"       sentry-webhooks --retry-bad [--db FILE | --spool DIR]\n"
"       sentry-webhooks --reprocess SELECTION [--update] [--new-id] [--yes]\n"
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
"      --retry-bad          try the spool's files again that were set aside\n"
"      --reprocess          observe kept hooks again, by today's rules; the\n"
"                           plan comes first. SELECTION is one or more of:\n"
"      --since TIME         that came then or later: ISO 8601, or 2h, 3d ago\n"
"      --until TIME         that came then or earlier\n"
"      --resource NAME      issue, error, ...\n"
"      --action NAME        created, unresolved, ...\n"
"      --project SLUG_OR_ID of this project\n"
"      --outcome NAME       observed, ignored or unreadable\n"
"      --all                every hook\n"
"      --update             replace rows that are not yet delivered\n"
"      --new-id             replace delivered ones, as new events (...-r2)\n"
"      --dry-run            show the plan alone\n"
"      --yes                erase, or reprocess, without asking\n"
"      --help, --version\n"
"\n"
"Environment: SENTRY_CLIENT_SECRET, SENTRY_CLIENT_SECRET_FILE,\n"
"SENTRY_WEBHOOKS_DB, _SOCKET, _SOCKET_MODE, _THREADS, _MAX_BODY, _SPOOL,\n"
"_COMMIT_WAIT, _OBSERVE, _REDACT (1 or 0), _ALLOW_ROOT (likewise). Options\n"
"win. Exit status: 0; 1: it does not work; 64: usage; 77: not as root.\n";

enum {
	SET_SECRET_FILE, SET_MAX_BODY, SET_SPOOL, SET_COMMIT_WAIT, SET_OBSERVE,
	SET_CHECK, SET_VERIFY, SET_SIGNATURE, SET_REDACT, SET_PERSON,
	SET_PROJECT, SET_YES, SET_RETRY_BAD, SET_REPROCESS, SET_SINCE,
	SET_UNTIL, SET_RESOURCE, SET_ACTION, SET_OF_PROJECT, SET_OUTCOME,
	SET_ALL, SET_UPDATE, SET_NEW_ID, SET_DRY_RUN
};

static const struct setting settings[] = {
	SERVE_SETTINGS("SENTRY_WEBHOOKS"),
	{ SET_SECRET_FILE, "secret-file", "SENTRY_CLIENT_SECRET_FILE", 0 },
	{ SET_MAX_BODY, "max-body", "SENTRY_WEBHOOKS_MAX_BODY", 0 },
	{ SET_SPOOL, "spool", "SENTRY_WEBHOOKS_SPOOL", 0 },
	{ SET_COMMIT_WAIT, "commit-wait", "SENTRY_WEBHOOKS_COMMIT_WAIT", 0 },
	{ SET_OBSERVE, "observe", "SENTRY_WEBHOOKS_OBSERVE", SETTING_TEXT },
	{ SET_CHECK, "check", NULL, SETTING_FLAG },
	{ SET_VERIFY, "verify", NULL, SETTING_FLAG },
	{ SET_SIGNATURE, "signature", NULL, 0 },
	{ SET_REDACT, "redact", "SENTRY_WEBHOOKS_REDACT", SETTING_FLAG },
	{ SET_PERSON, "erase-person", NULL, 0 },
	{ SET_PROJECT, "erase-project", NULL, 0 },
	{ SET_YES, "yes", NULL, SETTING_FLAG },
	{ SET_RETRY_BAD, "retry-bad", NULL, SETTING_FLAG },
	{ SET_REPROCESS, "reprocess", NULL, SETTING_FLAG },
	{ SET_SINCE, "since", NULL, 0 },
	{ SET_UNTIL, "until", NULL, 0 },
	{ SET_RESOURCE, "resource", NULL, 0 },
	{ SET_ACTION, "action", NULL, 0 },
	{ SET_OF_PROJECT, "project", NULL, 0 },
	{ SET_OUTCOME, "outcome", NULL, 0 },
	{ SET_ALL, "all", NULL, SETTING_FLAG },
	{ SET_UPDATE, "update", NULL, SETTING_FLAG },
	{ SET_NEW_ID, "new-id", NULL, SETTING_FLAG },
	{ SET_DRY_RUN, "dry-run", NULL, SETTING_FLAG },
};

static void
options_set_mode(struct options *o, enum mode mode)
{
	if (o->mode != MODE_SERVE && o->mode != mode)
		args_usage("--check, --verify, --retry-bad and --reprocess do "
		    "not go together");
	o->mode = mode;
}

/* Sets what goes with --reprocess alone. False: it is none of that. */
static bool
options_set_reprocess(struct options *o, int which, const char *name,
    const char *s)
{
	switch (which) {
	case SET_REPROCESS:
		options_set_mode(o, MODE_REPROCESS);
		return true;
	case SET_SINCE:
		o->select.since = args_time(name, s);
		return true;
	case SET_UNTIL:
		o->select.until = args_time(name, s);
		return true;
	case SET_RESOURCE:
		o->select.resource = s;
		return true;
	case SET_ACTION:
		o->select.action = s;
		return true;
	case SET_OF_PROJECT:
		o->select.project = s;
		return true;
	case SET_OUTCOME:
		if (strcmp(s, "observed") != 0 && strcmp(s, "ignored") != 0 &&
		    strcmp(s, "unreadable") != 0)
			args_usage("%s wants observed, ignored or unreadable",
			    name);
		o->select.outcome = s;
		return true;
	case SET_ALL:
		return o->select.all = true;
	case SET_UPDATE:
		return o->update = true;
	case SET_NEW_ID:
		return o->new_id = true;
	case SET_DRY_RUN:
		return o->dry_run = true;
	default:
		return false;
	}
}

static bool
options_select(const struct selection *s)
{
	return s->since != 0 || s->until != 0 || s->resource != NULL ||
	    s->action != NULL || s->project != NULL || s->outcome != NULL ||
	    s->all;
}

static void
options_set(void *arg, int which, const char *name, const char *s)
{
	struct options *o = arg;

	serve_set(&o->serve, which, name, s, OPTIONS_THREADS_MAX);
	if (options_set_reprocess(o, which, name, s))
		return;
	switch (which) {
	case SET_SECRET_FILE:
		if (secrets_is_hex(span_of(s)))
			args_usage("%s wants the name of a file: the secret "
			    "goes into that file", name);
		o->secret_file = s;
		break;
	case SET_MAX_BODY:
		o->max_body = args_number(name, s, 10, 1, OPTIONS_BODY_MAX);
		break;
	case SET_SPOOL:
		o->spool = s;
		break;
	case SET_COMMIT_WAIT:
		o->commit_wait = (unsigned)args_number(name, s, 10, 0,
		    OPTIONS_COMMIT_WAIT_MAX);
		break;
	case SET_OBSERVE:
		if (!observe_list_valid(span_of(s)))
			args_usage("%s wants resource.action, resource.* or "
			    "*, separated by commas or white space", name);
		o->observe = s;
		break;
	case SET_CHECK:
		options_set_mode(o, MODE_CHECK);
		break;
	case SET_VERIFY:
		options_set_mode(o, MODE_VERIFY);
		break;
	case SET_SIGNATURE:
		o->signature = s;
		break;
	case SET_REDACT:
		o->redact = args_flag(name, s);
		break;
	case SET_PERSON:
		o->person = s;
		break;
	case SET_PROJECT:
		o->project = s;
		break;
	case SET_YES:
		o->yes = true;
		break;
	case SET_RETRY_BAD:
		options_set_mode(o, MODE_RETRY_BAD);
		break;
	}
}

/* Refuses options that do not go together, and sets the mode of erasing. */
static void
options_combine(struct options *o)
{
	bool erase = o->person != NULL || o->project != NULL;

	if (o->mode == MODE_VERIFY && o->signature == NULL)
		args_usage("--verify wants --signature HEX");
	if (o->mode != MODE_VERIFY && o->signature != NULL)
		args_usage("--signature goes with --verify");
	if (erase && (o->mode != MODE_SERVE ||
	    (o->person != NULL && o->project != NULL)))
		args_usage("--erase-person and --erase-project go alone");
	if (erase && span_trimmed(span_of(o->person != NULL ? o->person :
	    o->project)).len == 0)
		args_usage("--erase-person and --erase-project want somebody's "
		    "or something's name, not blanks");
	if (erase)
		o->mode = MODE_ERASE;
	else if (o->yes && o->mode != MODE_REPROCESS)
		args_usage("--yes goes with --erase-person, --erase-project, "
		    "--reprocess");
	if (o->mode == MODE_REPROCESS && !options_select(&o->select))
		args_usage("--reprocess wants a selection: --since, --until, "
		    "--resource, --action, --project, --outcome or --all");
	if (o->mode != MODE_REPROCESS && (options_select(&o->select) ||
	    o->update || o->new_id || o->dry_run))
		args_usage("a selection, --update, --new-id and --dry-run go "
		    "with --reprocess");
}

/* Where nothing was said: systemd's credential, its folder of state. */
static void
options_complete(struct options *o)
{
	const char *credentials = args_variable("CREDENTIALS_DIRECTORY");

	if (o->secret_file == NULL && credentials != NULL) {
		char *file = args_join(credentials, "/sentry-client-secret");

		if (access(file, F_OK) == 0)
			o->secret_file = file;
		else
			free(file);
	}
	if (o->serve.db == NULL)
		o->serve.db = args_default_db();
	if (o->spool == NULL)
		o->spool = args_join(o->serve.db, "-spool");
}

void
options_read(struct options *o, int argc, char *argv[])
{
	const char *from_environment =
	    args_variable("SENTRY_CLIENT_SECRET_FILE");
	int next;

	*o = (struct options){
		.serve = { .socket_mode = SERVE_SOCKET_MODE,
		    .threads = OPTIONS_THREADS },
		.max_body = OPTIONS_BODY,
		.commit_wait = OPTIONS_COMMIT_WAIT,
		.observe = OBSERVE_LIST_DEFAULT,
	};
	args_program("sentry-webhooks", help);
	next = args_read(argc, argv, settings,
	    sizeof(settings) / sizeof(settings[0]), options_set, o);
	/* --secret-file names all the secrets there are: those of the
	 * environment then do not count. */
	if (o->secret_file == from_environment)
		o->secret_list = args_variable("SENTRY_CLIENT_SECRET");
	options_combine(o);
	if (o->mode == MODE_VERIFY && next < argc)
		o->file = argv[next++];
	if (next < argc)
		args_usage("an argument too many");
	options_complete(o);
}
