/* sentry-deliver: takes rows from the outbox to a sink.
 *  1. deliver_options_read() reads the command line and the environment.
 *  2. deliver_lock_take() makes sure that no other process delivers from this
 *     database.
 *  3. open_sink() opens the sink that the URL is for.
 *  4. warn_early() logs what will not work later on.
 *  5. deliver_run() delivers, until a signal, or the end with --once. */
#include <errno.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/args.h"
#include "base/credential.h"
#include "base/environment.h"
#include "base/log.h"
#include "base/process_guard.h"
#include "deliver/deliver.h"
#include "deliver/deliver_lock.h"
#include "deliver_options.h"
#include "sink/http_sink.h"
#include "sink/nats_sink.h"
#include "sink/print_sink.h"

/* From the signal to the end. deliver_run() needs 10 s at most if nothing
 * hangs, and libnats 3 s more to close. Else fates that are not written are
 * lost, and those rows are sent again. */
#define STOP_LIMIT_S	15
#define REQUEST_BYTES	(1 << 20)	/* of a request of several events */
#define NATS_WINDOW_ROWS	2000	/* not acknowledged, at most */
#define MS_PER_DAY	86400000

static const volatile sig_atomic_t *stop;

/* ---- the sink ---- */

#ifdef HAVE_NATS
static bool
is_readable(const char *option, const char *path, char why[SINK_WHY])
{
	if (path == NULL || access(path, R_OK) == 0)
		return true;
	snprintf(why, SINK_WHY, "%s %s: %s", option, path, strerror(errno));
	return false;
}

/* Reads `USER PASSWORD' into c; both are in the text that is returned, which
 * the caller frees. NULL with the reason in `why`. */
static char *
read_user(const char *file, struct nats_sink_config *c, char why[SINK_WHY])
{
	const char *reason;
	char *user = credential_read(file, &reason), *blank;

	if (user == NULL || *(blank = user + strcspn(user, " \t")) == '\0') {
		snprintf(why, SINK_WHY, "--nats-user-file wants `USER "
		    "PASSWORD' in the first line of %.100s: %s", file,
		    user == NULL ? reason : "there is one word");
		free(user);
		return NULL;
	}
	*blank++ = '\0';
	c->user = user;
	c->password = blank + strspn(blank, " \t");
	return user;
}

static struct sink *
open_nats(const struct deliver_options *o, char why[SINK_WHY])
{
	struct nats_sink_config c = {
		.url = o->to, .stream = o->stream, .credentials = o->creds,
		.ca = o->ca, .create = o->create_stream,
		.replicas = o->replicas, .window = NATS_WINDOW_ROWS,
		.timeout_s = o->timeout_s,
	};
	char *user = NULL;
	struct sink *s;

	if (!is_readable("--nats-creds", o->creds, why) ||
	    !is_readable("--nats-ca", o->ca, why) || (o->user_file != NULL &&
	    (user = read_user(o->user_file, &c, why)) == NULL))
		return NULL;
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

/* A row travels alone in the last quarter of its attempts. */
static struct sink *
open_http(const struct deliver_options *o, char why[SINK_WHY])
{
	struct http_sink_config c = {
		.url = o->to, .timeout_s = o->timeout_s,
		.requests = o->requests, .events = o->batch_events,
		.bytes = REQUEST_BYTES, .alone_after = o->max_attempts -
		    (o->max_attempts < 4 ? 1 : o->max_attempts / 4),
	};

	return http_sink_open(&c, why);
}

static struct sink *
open_sink(const struct deliver_options *o, char why[SINK_WHY])
{
	switch (deliver_options_kind(o)) {
	case DELIVER_PRINT:
		return print_sink_open(STDOUT_FILENO, why);
	case DELIVER_HTTP:
		return open_http(o, why);
	case DELIVER_NATS:
		return open_nats(o, why);
	}
	return NULL;
}

/* ---- the run ---- */

static void
log_warning(const char *event, const char *file, const char *why,
    const char *msg)
{
	struct log l;

	log_begin(&l, "warning", event);
	log_str(&l, "file", file);
	log_str(&l, "why", why);
	log_str(&l, "msg", msg);
	log_end(&l);
}

/* Logs what will not work later on. None of it is a reason to stop. */
static void
warn_early(const struct deliver_options *o, const struct sink *sink)
{
	char *folder = o->metrics == NULL ? NULL : args_join(o->metrics, "");

	if (folder != NULL && access(dirname(folder), W_OK | X_OK) != 0)
		log_warning("metrics", o->metrics, strerror(errno),
		    errno == EROFS ?
		    "the unit lets it write to its folder of state alone: "
		    "ReadWritePaths= in a drop-in adds one" : "it cannot be "
		    "written until this user may write to its folder");
	free(folder);
	if (strstr(o->to, "/YOUR-") != NULL)
		log_warning("to", o->to_name, NULL, "the URL has a placeholder "
		    "in it where the key belongs");
	environment_warn_unknown();
	if (sink->warning != NULL)
		log_say("warning", "sink-url", sink->warning);
}

/* Returns the exit status. */
static int
deliver_rows(const struct deliver_options *o)
{
	struct deliver_config config = {
		.db = o->db, .once = o->once,
		.max_attempts = o->max_attempts,
		.settle_ms = (int64_t)o->settle_s * 1000,
		.keep_ms = (int64_t)o->keep_days * MS_PER_DAY,
		.metrics = o->metrics,
		.stop = stop,
	};
	char why[SINK_WHY] = "";
	struct log l;

	if ((config.sink = open_sink(o, why)) == NULL) {
		args_error("%s: %s", o->to_name, why);
		return deliver_options_kind(o) == DELIVER_HTTP ? EXIT_USAGE :
		    1;
	}
	log_begin(&l, "info", "start");
	log_str(&l, "version", PACKAGE_VERSION);
	log_str(&l, "db", o->db);
	log_str(&l, "sink", config.sink->name);
	log_end(&l);
	warn_early(o, config.sink);
	return deliver_run(&config);
}

int
main(int argc, char *argv[])
{
	static struct deliver_options o;
	char why[DELIVER_LOCK_WHY];
	enum deliver_lock lock = DELIVER_LOCK_OURS;
	int status = 1;

	process_guard_cores();	/* the sink's key would be in one */
	deliver_options_read(&o, argc, argv);
	stop = process_guard_signals(STOP_LIMIT_S, 1);
	umask(0027);
	if (access(o.db, F_OK) != 0)
		args_error("%s: %s%s", o.db, strerror(errno),
		    errno == ENOENT ? "; sentry-webhooks makes it" : "");
	else if ((lock = deliver_lock_take(o.db, why)) == DELIVER_LOCK_OURS)
		status = deliver_rows(&o);
	else
		args_error("%s", why);
	if (lock == DELIVER_LOCK_ANOTHERS)
		status = EXIT_TEMPFAIL;
	deliver_options_release(&o);
	return status;
}
