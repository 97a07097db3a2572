#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hook.h"

#define THREADS_MAX	1024
#define BODY_LIMIT_MAX	(128ul << 20)	/* bytes */
#define COMMIT_WAIT_MAX	60000		/* ms */

static const char help[] =
"Usage: sentry-webhooks [OPTION]...\n"
"       sentry-webhooks --check [OPTION]...\n"
"       sentry-webhooks --verify --signature HEX [OPTION]... [FILE]\n"
"\n"
"Receives Sentry's webhooks behind nginx (FastCGI) and keeps every one in an\n"
"SQLite outbox before it answers.\n"
"\n"
"      --secret-file FILE   client secrets, one a line: [NAME] SECRET\n"
"      --db FILE            the database (outbox.db)\n"
"      --socket WHERE       listen on a path or HOST:PORT (fd 0, a socket)\n"
"      --socket-mode OCTAL  mode of the Unix socket (0660)\n"
"      --threads N          requests served at once (16)\n"
"      --max-body BYTES     longest body that is taken (8388608)\n"
"      --spool DIR          where hooks wait for the database (FILE-spool)\n"
"      --commit-wait MS     how long a hook waits for the database before it\n"
"                           goes to the spool (400)\n"
"      --observe LIST       resource.action names, resource.* or *, that\n"
"                           become observations\n"
"      --check              say what would be used and whether it works\n"
"      --verify             say whether, and by which secret, FILE (or\n"
"                           standard input) was signed\n"
"      --signature HEX      the signature for --verify\n"
"      --help, --version\n"
"\n"
"Environment: SENTRY_CLIENT_SECRET, SENTRY_CLIENT_SECRET_FILE,\n"
"SENTRY_WEBHOOKS_DB, _SOCKET, _SOCKET_MODE, _THREADS, _MAX_BODY, _SPOOL,\n"
"_COMMIT_WAIT, _OBSERVE. Options win.\n";

__attribute__((format(printf, 1, 2), noreturn))
static void
usage(const char *format, ...)
{
	va_list ap;

	fputs("sentry-webhooks: ", stderr);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fputs(" (--help says more)\n", stderr);
	exit(EXIT_USAGE);
}

/* `name` is the option or the variable that the value came by. The value is
 * not repeated: it may hold anything. */
static unsigned long
number(const char *name, const char *s, int base, unsigned long least,
    unsigned long most)
{
	unsigned long n;
	char *end;

	errno = 0;
	n = strtoul(s, &end, base);
	if (*s < '0' || *s > '9' || *end != '\0' || errno != 0 || n < least ||
	    n > most) {
		if (base == 8)
			usage("%s wants an octal mode up to %lo", name, most);
		usage("%s wants a number from %lu to %lu", name, least, most);
	}
	return n;
}

static void
out_of_memory(void)
{
	fputs("sentry-webhooks: out of memory\n", stderr);
	exit(1);
}

static char *
join(const char *a, const char *b)
{
	size_t n = strlen(a) + strlen(b) + 1;
	char *s = malloc(n);

	if (s == NULL)
		out_of_memory();
	snprintf(s, n, "%s%s", a, b);
	return s;
}

/* A word of the command line in a message of one line. */
static const char *
printable(const char *s)
{
	static char buf[48];
	size_t i;

	for (i = 0; s[i] != '\0' && i < sizeof(buf) - 1; i++)
		buf[i] = s[i] > 0x20 && s[i] < 0x7f ? s[i] : '?';
	buf[i] = '\0';
	return buf;
}

/* A path, or HOST:PORT with a port that is one. */
static void
check_socket(const char *name, const char *s)
{
	const char *colon = strrchr(s, ':');

	if (colon != NULL && strchr(s, '/') == NULL && colon != s)
		(void)number(name, colon + 1, 10, 1, 65535);
	else if (colon == s)
		usage("%s wants a path or HOST:PORT", name);
}

/* A variable that is set to nothing is as good as unset. */
static const char *
variable(const char *name)
{
	const char *s = getenv(name);

	return s == NULL || *s == '\0' ? NULL : s;
}

enum setting {
	SET_SECRET_FILE = 1000, SET_DB, SET_SOCKET,
	SET_SOCKET_MODE, SET_THREADS, SET_MAX_BODY, SET_SPOOL,
	SET_COMMIT_WAIT, SET_OBSERVE, SET_CHECK, SET_VERIFY,
	SET_SIGNATURE, SET_HELP, SET_VERSION
};

static const struct setting_form {
	enum setting	 setting;
	const char	*name;
	const char	*variable;
} settings[] = {
	{ SET_SECRET_FILE, "--secret-file", "SENTRY_CLIENT_SECRET_FILE" },
	{ SET_DB, "--db", "SENTRY_WEBHOOKS_DB" },
	{ SET_SOCKET, "--socket", "SENTRY_WEBHOOKS_SOCKET" },
	{ SET_SOCKET_MODE, "--socket-mode",
	    "SENTRY_WEBHOOKS_SOCKET_MODE" },
	{ SET_THREADS, "--threads", "SENTRY_WEBHOOKS_THREADS" },
	{ SET_MAX_BODY, "--max-body", "SENTRY_WEBHOOKS_MAX_BODY" },
	{ SET_SPOOL, "--spool", "SENTRY_WEBHOOKS_SPOOL" },
	{ SET_COMMIT_WAIT, "--commit-wait",
	    "SENTRY_WEBHOOKS_COMMIT_WAIT" },
	{ SET_OBSERVE, "--observe", "SENTRY_WEBHOOKS_OBSERVE" },
};
#define SETTINGS	(sizeof(settings) / sizeof(settings[0]))

static void
set(struct options *o, enum setting which, const char *name, const char *s)
{
	if (*s == '\0' && which != SET_OBSERVE)
		usage("%s wants a value", name);
	switch (which) {
	case SET_SECRET_FILE:
		o->secret_file = s;
		break;
	case SET_DB:
		o->db = s;
		break;
	case SET_SOCKET:
		check_socket(name, s);
		o->socket = s;
		break;
	case SET_SOCKET_MODE:
		o->socket_mode = (unsigned)number(name, s, 8, 0, 0777);
		break;
	case SET_THREADS:
		o->threads = (unsigned)number(name, s, 10, 1, THREADS_MAX);
		break;
	case SET_MAX_BODY:
		o->max_body = number(name, s, 10, 1, BODY_LIMIT_MAX);
		break;
	case SET_SPOOL:
		o->spool = s;
		break;
	case SET_COMMIT_WAIT:
		o->commit_wait = (unsigned)number(name, s, 10, 0,
		    COMMIT_WAIT_MAX);
		break;
	case SET_OBSERVE:
		if (!hook_observe_valid(span_of(s)))
			usage("%s wants resource.action, resource.* or *, "
			    "separated by commas or white space", name);
		o->observe = s;
		break;
	case SET_SIGNATURE:
		o->signature = s;
		break;
	case SET_CHECK:
		o->mode = MODE_CHECK;
		break;
	case SET_VERIFY:
		o->mode = MODE_VERIFY;
		break;
	case SET_HELP:
		fputs(help, stdout);
		exit(0);
	case SET_VERSION:
		puts("sentry-webhooks " PACKAGE_VERSION);
		exit(0);
	}
}

static void
read_environment(struct options *o)
{
	for (size_t i = 0; i < SETTINGS; i++) {
		const char *s = variable(settings[i].variable);

		if (s != NULL)
			set(o, settings[i].setting, settings[i].variable, s);
	}
}

static void
read_command_line(struct options *o, int argc, char *argv[])
{
	static const struct option longs[] = {
		{ "secret-file", required_argument, NULL, SET_SECRET_FILE },
		{ "db", required_argument, NULL, SET_DB },
		{ "socket", required_argument, NULL, SET_SOCKET },
		{ "socket-mode", required_argument, NULL, SET_SOCKET_MODE },
		{ "threads", required_argument, NULL, SET_THREADS },
		{ "max-body", required_argument, NULL, SET_MAX_BODY },
		{ "spool", required_argument, NULL, SET_SPOOL },
		{ "commit-wait", required_argument, NULL, SET_COMMIT_WAIT },
		{ "observe", required_argument, NULL, SET_OBSERVE },
		{ "check", no_argument, NULL, SET_CHECK },
		{ "verify", no_argument, NULL, SET_VERIFY },
		{ "signature", required_argument, NULL, SET_SIGNATURE },
		{ "help", no_argument, NULL, SET_HELP },
		{ "version", no_argument, NULL, SET_VERSION },
		{ NULL, 0, NULL, 0 }
	};
	const char *from_environment = o->secret_file;
	int c, index;

	opterr = 0;
	while ((c = getopt_long(argc, argv, ":", longs, &index)) != -1) {
		if (c == ':')
			usage("%s wants a value",
			    printable(argv[optind - 1]));
		if (c == '?')
			usage("`%s' is no option, or takes no value",
			    printable(argv[optind - 1]));
		set(o, (enum setting)c, longs[index].name,
		    optarg == NULL ? "-" : optarg);
	}
	/* The option names all the secrets there are. */
	if (o->secret_file != from_environment)
		o->secret_list = NULL;
}

/* What systemd hands over: a folder of credentials, one of state. */
static void
fill_in(struct options *o)
{
	const char *credentials = variable("CREDENTIALS_DIRECTORY");
	const char *state = variable("STATE_DIRECTORY");

	if (o->secret_file == NULL && o->secret_list == NULL &&
	    credentials != NULL) {
		o->secret_file = join(credentials, "/sentry-client-secret");
		if (access(o->secret_file, F_OK) != 0)
			o->secret_file = NULL;
	}
	if (o->db == NULL)
		o->db = state == NULL ? "outbox.db" :
		    join(state, "/outbox.db");
	if (o->spool == NULL)
		o->spool = join(o->db, "-spool");
}

void
options_read(struct options *o, int argc, char *argv[])
{
	*o = (struct options){
		.secret_list = variable("SENTRY_CLIENT_SECRET"),
		.socket_mode = 0660,
		.threads = 16,
		.max_body = 8388608,
		.commit_wait = 400,
		.observe = HOOK_OBSERVE_DEFAULT,
	};
	/* --help works whatever the environment holds. */
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--help") == 0)
			set(o, SET_HELP, "", "-");
	read_environment(o);
	read_command_line(o, argc, argv);
	if (o->mode == MODE_VERIFY && o->signature == NULL)
		usage("--verify wants --signature HEX");
	if (o->mode != MODE_VERIFY && o->signature != NULL)
		usage("--signature goes with --verify");
	if (o->mode == MODE_VERIFY && optind < argc)
		o->file = argv[optind++];
	if (optind < argc)
		usage("an argument too many");
	fill_in(o);
}
