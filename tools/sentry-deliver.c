/* sentry-deliver: takes the outbox's rows to a sink. */
#include <errno.h>
#include <libgen.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/args.h"
#include "deliver/deliver.h"
#include "base/environment.h"
#include "base/credential.h"
#include "base/log.h"
#include "deliver/deliver_lock.h"

#define EXIT_TEMPFAIL	75	/* EX_TEMPFAIL of sysexits.h */
#define PATIENCE_S	12	/* from SIGTERM to the end */

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

struct deliver_options {
	char		*to;
	const char	*to_name;	/* what messages call it */
	const char	*to_file;
	const char	*db;
	const char	*metrics;
	const char	*stream;
	const char	*creds, *user_file, *ca;
	bool		 once, create;
	unsigned	 max_attempts, keep_days, timeout, batch, requests;
	unsigned	 replicas, settle;
};

enum {
	SET_TO, SET_TO_FILE, SET_DB, SET_ONCE, SET_MAX_ATTEMPTS, SET_KEEP,
	SET_METRICS, SET_TIMEOUT, SET_BATCH, SET_REQUESTS, SET_STREAM,
	SET_CREATE, SET_REPLICAS, SET_SETTLE, SET_CREDS, SET_USER_FILE,
	SET_CA
};

static const struct setting settings[] = {
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

static volatile sig_atomic_t stop;

/* Whatever hangs, a library or a disk, the end does not wait for it: what is
 * not written down is sent again. */
static void
on_alarm(int sig)
{
	(void)sig;
	_exit(1);
}

static void
on_signal(int sig)
{
	(void)sig;
	stop = 1;
	alarm(PATIENCE_S);
}

__attribute__((format(printf, 1, 2)))
static int
fail(const char *format, ...)
{
	va_list ap;

	fputs("sentry-deliver: ", stderr);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fputs("\n", stderr);
	return 1;
}

/* ---- the command line ---- */

static void
set_stream(struct deliver_options *o, const char *name, const char *s)
{
	if (strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_-"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != strlen(s) || strlen(s) > 64)
		args_usage("%s wants up to 64 letters, digits, _ and -",
		    name);
	o->stream = s;
}

static unsigned
count(const char *name, const char *s, unsigned long least,
    unsigned long most)
{
	return (unsigned)args_number(name, s, 10, least, most);
}

/* Two ways to say the same: the last option wins, then the first variable. */
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
	if (which == SET_TO_FILE)
		return;
	o->to = args_join(s, "");
	/* The whole system sees our arguments: not this one. */
	if (!variable)
		memset((char *)(uintptr_t)s, '*', strlen(s));
}

static void
set(void *arg, int which, const char *name, const char *s)
{
	struct deliver_options *o = arg;

	if (*s == '\0' && which != SET_ONCE && which != SET_CREATE)
		args_usage("%s wants a value", name);
	switch (which) {
	case SET_TO:
	case SET_TO_FILE:
		set_to(o, which, name, s);
		break;
	case SET_DB:
		o->db = s;
		break;
	case SET_ONCE:
		o->once = true;
		break;
	case SET_MAX_ATTEMPTS:
		o->max_attempts = count(name, s, 1, 1000);
		break;
	case SET_KEEP:
		o->keep_days = count(name, s, 0, 36500);
		break;
	case SET_METRICS:
		o->metrics = s;
		break;
	case SET_TIMEOUT:
		o->timeout = count(name, s, 1, 600);
		break;
	case SET_BATCH:
		o->batch = count(name, s, 1, 5000);
		break;
	case SET_REQUESTS:
		o->requests = count(name, s, 1, 64);
		break;
	case SET_STREAM:
		set_stream(o, name, s);
		break;
	case SET_CREATE:
		o->create = true;
		break;
	case SET_REPLICAS:
		o->replicas = count(name, s, 1, 5);
		break;
	case SET_SETTLE:
		o->settle = count(name, s, 0, 86400);
		break;
	case SET_CREDS:
		o->creds = s;
		break;
	case SET_USER_FILE:
		o->user_file = s;
		break;
	case SET_CA:
		o->ca = s;
		break;
	}
}

static const char *const http_kinds[] = { "http://", "https://", NULL };
static const char *const nats_kinds[] = { "nats://", "tls://", NULL };

static bool
is_kind(const char *url, const char *const *kinds)
{
	while (*kinds != NULL && strncasecmp(url, *kinds, strlen(*kinds)) != 0)
		kinds++;
	return *kinds != NULL;
}

/* The URL in a file, which messages then name. */
static void
take_file(struct deliver_options *o, const char *file)
{
	const char *why;

	o->to_name = file;
	if ((o->to = credential_read(file, &why)) == NULL)
		args_usage("%s: there is no URL in this file: %s", file, why);
}

static void
take_credential(struct deliver_options *o)
{
	const char *file = args_variable("CREDENTIALS_DIRECTORY");

	if (file != NULL)
		file = args_join(file, "/sentry-deliver-to");
	if (file != NULL && access(file, F_OK) == 0)
		take_file(o, file);
}

static void
take_inngest(struct deliver_options *o)
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

/* Where to: an option, the variables, a credential. */
static void
find_sink(struct deliver_options *o)
{
	if (o->to_file != NULL)
		take_file(o, o->to_file);
	else if (o->to == NULL)
		take_inngest(o);
	if (o->to == NULL)
		take_credential(o);
	if (o->to == NULL)
		args_usage("where to? give --to URL or SENTRY_DELIVER_TO");
	if (!is_kind(o->to, http_kinds) && !is_kind(o->to, nats_kinds) &&
	    strcmp(o->to, "-") != 0)
		args_usage("%s: the URL must begin with http://, https://, "
		    "nats:// or tls://, or be -", o->to_name);
}

static void
read_options(struct deliver_options *o, int argc, char *argv[])
{
	static const struct deliver_options defaults = {
		.stream = "SENTRY", .max_attempts = 20, .keep_days = 30,
		.timeout = 30, .batch = 500, .requests = 4, .replicas = 1,
		.settle = 150,
	};
	const char *state;

	*o = defaults;
	args_program("sentry-deliver", help);
	if (args_read(argc, argv, settings,
	    sizeof(settings) / sizeof(settings[0]), set, o) < argc)
		args_usage("an argument too many");
	find_sink(o);
	if (o->db == NULL) {
		state = args_variable("STATE_DIRECTORY");
		o->db = state == NULL ? "outbox.db" :
		    args_join(state, "/outbox.db");
	}
}

/* ---- the sink ---- */

#ifdef HAVE_NATS
static bool
readable(const char *option, const char *path, char why[SINK_WHY])
{
	if (path == NULL || access(path, R_OK) == 0)
		return true;
	snprintf(why, SINK_WHY, "%s %s: %s", option, path, strerror(errno));
	return false;
}

static struct sink *
open_nats(const struct deliver_options *o, char why[SINK_WHY])
{
	struct nats_sink_config c = {
		.url = o->to, .stream = o->stream, .credentials = o->creds,
		.ca = o->ca, .create = o->create, .replicas = o->replicas,
		.window = 2000, .timeout_s = o->timeout,
	};
	const char *reason;
	char *user = NULL, *space;
	struct sink *s;

	if (!readable("--nats-creds", o->creds, why) ||
	    !readable("--nats-ca", o->ca, why))
		return NULL;
	if (o->user_file != NULL) {
		user = credential_read(o->user_file, &reason);
		if (user == NULL ||
		    *(space = user + strcspn(user, " \t")) == '\0') {
			snprintf(why, SINK_WHY, "--nats-user-file wants "
			    "`USER PASSWORD' in the first line of %.100s: %s",
			    o->user_file, user == NULL ? reason :
			    "there is one word");
			free(user);
			return NULL;
		}
		*space++ = '\0';
		c.user = user;
		c.password = space + strspn(space, " \t");
	}
	s = nats_sink_open(&c, why);
	free(user);
	return s;
}
#else
static struct sink *
open_nats(const struct deliver_options *o, char why[SINK_WHY])
{
	(void)o;
	snprintf(why, SINK_WHY, "this sentry-deliver was built without NATS "
	    "(configure found no libnats, or was told --without-nats)");
	return NULL;
}
#endif

static struct sink *
open_sink(const struct deliver_options *o, char why[SINK_WHY])
{
	struct http_sink_config http = {
		.url = o->to, .timeout_s = o->timeout,
		.requests = o->requests, .events = o->batch,
		.bytes = 1 << 20, .alone = o->max_attempts -
		    (o->max_attempts < 4 ? 1 : o->max_attempts / 4),
	};

	if (strcmp(o->to, "-") == 0)
		return print_sink_open(STDOUT_FILENO, why);
	return is_kind(o->to, nats_kinds) ? open_nats(o, why) :
	    http_sink_open(&http, why);
}

/* ---- the run ---- */

static void
warn(const char *event, const char *file, const char *why, const char *msg)
{
	struct log l;

	log_begin(&l, "warning", event);
	log_str(&l, "file", file);
	log_str(&l, "why", why);
	log_str(&l, "msg", msg);
	log_end(&l);
}

/* What would not work later on; none of it is a reason to stop. */
static void
look_ahead(const struct deliver_options *o)
{
	char *folder = o->metrics == NULL ? NULL : args_join(o->metrics, "");

	if (folder != NULL && access(dirname(folder), W_OK | X_OK) != 0)
		warn("metrics", o->metrics, strerror(errno), errno == EROFS ?
		    "the unit lets it write to its folder of state alone: "
		    "ReadWritePaths= in a drop-in adds one" : "it cannot be "
		    "written until this user may write to its folder");
	free(folder);
	if (strstr(o->to, "/YOUR-") != NULL)
		warn("to", o->to_name, NULL, "the URL has a placeholder in it "
		    "where the key belongs");
	environment_warn_unknown();
}

static int
deliver(const struct deliver_options *o)
{
	struct deliver_config config = {
		.db = o->db, .once = o->once,
		.max_attempts = o->max_attempts,
		.settle_ms = (int64_t)o->settle * 1000,
		.keep_ms = (int64_t)o->keep_days * 86400000,
		.metrics = o->metrics, .stop = &stop,
	};
	char why[SINK_WHY] = "";
	struct log l;

	if ((config.sink = open_sink(o, why)) == NULL) {
		(void)fail("%s: %s", o->to_name, why);
		return is_kind(o->to, http_kinds) ? EXIT_USAGE : 1;
	}
	log_begin(&l, "info", "start");
	log_str(&l, "version", PACKAGE_VERSION);
	log_str(&l, "db", o->db);
	log_str(&l, "sink", config.sink->name);
	log_end(&l);
	look_ahead(o);
	if (config.sink->doubt != NULL)
		log_say("warning", "sink-url", config.sink->doubt);
	return deliver_run(&config);
}

int
main(int argc, char *argv[])
{
	static struct deliver_options o;
	struct sigaction act = { .sa_handler = on_signal };
	struct sigaction last = { .sa_handler = on_alarm };
	char why[DELIVER_LOCK_WHY];
	enum deliver_lock only = DELIVER_LOCK_OURS;
	int status;

	read_options(&o, argc, argv);
	sigaction(SIGTERM, &act, NULL);
	sigaction(SIGINT, &act, NULL);
	sigaction(SIGALRM, &last, NULL);
	signal(SIGPIPE, SIG_IGN);
	umask(0027);
	if (access(o.db, F_OK) != 0)
		status = fail("%s: %s%s", o.db, strerror(errno),
		    errno == ENOENT ? "; sentry-webhooks makes it" : "");
	else if ((only = deliver_lock_take(o.db, why)) == DELIVER_LOCK_OURS)
		status = deliver(&o);
	else
		status = fail("%s", why);
	if (only == DELIVER_LOCK_ANOTHERS)
		status = EXIT_TEMPFAIL;
	free(o.to);
	return status;
}
