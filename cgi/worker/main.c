/* sentry-webhooks: the worker, and the commands that its options ask for. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/args.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/process_guard.h"
#include "server/heap.h"
#include "server/plain_cgi.h"
#include "server/serve.h"
#include "worker/check_command.h"
#include "worker/erase_command.h"
#include "worker/metrics.h"
#include "worker/options.h"
#include "worker/reprocess_command.h"
#include "worker/service.h"
#include "worker/verify_command.h"

/*
 * How the worker starts and ends, as main_serve_socket() does it:
 *
 * 1. options_read(): the command line and the environment.
 * 2. serve_open(): the socket, so that connections wait in its backlog.
 * 3. main_open(): the secrets, the spool, the writer's thread.
 * 4. serve_run(): threads answer requests (threads.c, service.c, post.c)
 *    until a signal comes, and then finish those that are under way.
 * 5. main_close(): the writer writes down what it has, and ends.
 */

static void
main_log_differs(const struct observation *hook)
{
	struct span resource = observation_get(hook, OBSERVED_RESOURCE);
	struct log l;

	metrics_count(resource_named(resource), METRIC_DIFFERENT);
	log_begin(&l, "info", "spool-duplicate");
	log_span(&l, "resource", resource);
	log_span(&l, "event_id", observation_get(hook, OBSERVED_EVENT_ID));
	log_str(&l, "duplicate", "differs");
	log_end(&l);
}

static void
main_log_retired(enum fault fault, const char *why)
{
	struct log l;

	log_begin(&l, fault == FAULT_NONE ? "info" : "error",
	    "database-retired");
	if (fault != FAULT_NONE) {
		log_str(&l, "fault", fault_name(fault));
		log_str(&l, "why", why);
	}
	log_str(&l, "msg", fault == FAULT_NONE ? "the log of the database "
	    "that was here before is in it" : "the log of the database that "
	    "was here before could not be moved into it: its last hooks may "
	    "be in the -wal file alone");
	log_end(&l);
}

static void
main_log_writer(void *arg, enum writer_event event, enum fault fault,
    const char *why, unsigned long count, const struct observation *hook)
{
	struct log l;

	switch (event) {
	case WRITER_OPENED:
		log_begin(&l, "info", "database-open");
		log_str(&l, "sqlite", db_sqlite_version());
		break;
	case WRITER_FAULT:
		log_begin(&l, "error", "database-fault");
		log_str(&l, "fault", fault_name(fault));
		log_str(&l, "db", arg);
		log_str(&l, "why", why);
		log_str(&l, "msg", "hooks go to the spool until it is back");
		break;
	case WRITER_RECOVERED:
		log_begin(&l, "info", "database-recovered");
		log_str(&l, "fault", fault_name(fault));
		break;
	case WRITER_IMPORTED:
		log_begin(&l, "info", "spool-brought-in");
		log_int(&l, "count", (int64_t)count);
		break;
	case WRITER_DIFFERS:
		main_log_differs(hook);
		return;
	case WRITER_SET_ASIDE:
		log_begin(&l, "error", "spool-set-aside");
		log_str(&l, "file", why);
		log_str(&l, "fault", fault_name(fault));
		log_str(&l, "msg", fault == FAULT_REFUSED ? "it is no hook, "
		    "or the database refuses it: it stays as .bad, and "
		    "--retry-bad tries it again" : "it can be read or removed "
		    "only once its mode, or the file system, allows that");
		break;
	case WRITER_RETIRING:
		log_begin(&l, "warning", "database-moved");
		log_str(&l, "msg", "somebody reads the database that was here "
		    "before: hooks go to the spool until its log, set aside "
		    "as -wal.NUMBER, is in it");
		break;
	case WRITER_RETIRED:
		main_log_retired(fault, why);
		return;
	case WRITER_RIVAL:
		log_begin(&l, "error", "log-set-aside");
		log_str(&l, "msg", "-wal and -shm were deleted, and another "
		    "program began new ones: they are set aside as "
		    "-wal.NUMBER and -shm.NUMBER; quit that program, and do "
		    "again what it has changed");
		break;
	}
	log_end(&l);
}

static void
main_log_open_file(const char *path, bool closed)
{
	struct log l;

	log_begin(&l, "warning", "file-mode");
	log_str(&l, "file", path);
	log_str(&l, "msg", closed ? "it was open to others; no longer" :
	    "it is open to others, and not closed, since it is not "
	    "this user's alone: use another, or chmod o= it");
	log_end(&l);
}

static void
main_log_spool_fault(const char *path, enum fault f)
{
	struct log l;

	log_begin(&l, "error", "spool-fault");
	log_str(&l, "file", path);
	log_str(&l, "fault", fault_name(f));
	log_str(&l, "msg", f == FAULT_READONLY ? "nothing may be written "
	    "there: a unit wants ReadWritePaths=" : f == FAULT_MISSING ?
	    "the folder above it has to be there" : "what the database does "
	    "not take is refused until it can be written to");
	log_end(&l);
}

/* Wipes the variable's own bytes: nobody needs them any more, and they would
 * stand in every copy of this process's memory. */
static struct keyring *
main_open_keyring(const struct options *o)
{
	struct keyring *k = keyring_open(o->secret_list, o->secret_file);

	if (o->secret_list != NULL)
		explicit_bzero((char *)(uintptr_t)o->secret_list,
		    strlen(o->secret_list));
	if (k == NULL)
		args_error("secrets: out of memory");
	return k;
}

/* A database or a spool that does not work yet is no reason not to serve: each
 * stands in for the other, and both may come back. 0, or -1 after a line on
 * standard error; main_close() in any case. */
static int
main_open(struct service *s, const struct options *o)
{
	struct writer_config config = { .db = o->serve.db,
	    .say = main_log_writer, .arg = (void *)(uintptr_t)o->serve.db,
	    .observe_list = span_of(o->observe), .redact = o->redact };
	char why[DB_WHY] = "";
	enum fault f;

	*s = (struct service){ .db = o->serve.db, .max_body = o->max_body,
	    .commit_wait = o->commit_wait, .redact = o->redact,
	    .observe_list = config.observe_list };
	if ((s->keyring = main_open_keyring(o)) == NULL)
		return -1;
	if (keyring_count(s->keyring) == 0)
		log_say("error", "no-secret", "POST is answered 500: set "
		    "SENTRY_CLIENT_SECRET or --secret-file");
	if ((s->spool = config.spool = spool_open(o->spool)) == NULL) {
		args_error("spool: out of memory");
		return -1;
	}
	if ((f = spool_check(s->spool)) != FAULT_NONE)
		main_log_spool_fault(o->spool, f);
	f = writer_start(&s->writer, &config, why);
	if (f != FAULT_NONE) {
		args_error("%s: %s", o->serve.db,
		    why[0] != '\0' ? why : fault_name(f));
		return -1;
	}
	process_guard_files(o->serve.db, o->spool, main_log_open_file);
	return 0;
}

static void
main_close(struct service *s)
{
	if (s->writer != NULL)
		writer_stop(s->writer);
	spool_close(s->spool);
	keyring_close(s->keyring);
}

/* Serves the one request of a CGI program. That is the web server's child, and
 * may be root's as the web server may. */
static int
main_serve_cgi(const struct options *o)
{
	struct service service;
	struct handler handler;
	int status;

	/* A signal must not end it amid the request. */
	serve_block_signals();
	/* Without a writer the answer is 500, but it is an answer. */
	(void)main_open(&service, o);
	handler = service_handler(&service);
	status = plain_cgi_serve(&handler) == 0 ? 0 : 1;
	main_close(&service);
	return status;
}

static int
main_serve_socket(const struct options *o)
{
	struct service service;
	struct handler handler;
	struct listener l;
	int status = serve_open(&l, &o->serve);

	if (status != 0)
		return status;
	serve_block_signals();
	if (main_open(&service, o) == 0) {
		serve_log_start(&o->serve, &l, o->spool,
		    "everybody on this host may connect to it");
		handler = service_handler(&service);
		status = serve_run(&l, &o->serve, &handler);
	} else {
		listen_close(&l);
		status = 1;
	}
	main_close(&service);
	return status;
}

static int
main_verify(const struct options *o)
{
	struct keyring *k = main_open_keyring(o);
	int status = k == NULL ? 1 : verify_command(k, o->signature, o->file);

	keyring_close(k);
	return status;
}

static int
main_retry_bad(const struct options *o)
{
	unsigned long n;
	enum fault f = spool_retry(o->spool, &n);

	if (f != FAULT_NONE && f != FAULT_GONE) {
		args_error("%s: %s", o->spool, fault_name(f));
		return 1;
	}
	printf("%lu %s for the worker to try again\n", n, n == 1 ? "file" :
	    "files");
	return 0;
}

int
main(int argc, char *argv[])
{
	static struct options o;	/* as long as the program */

	heap_tune();
	serve_fill_descriptors();
	metrics_start(clock_wall_ms());
	options_read(&o, serve_arguments(argc, argv), argv);
	if (signature_start() != 0) {
		args_error("libsodium: it cannot start");
		return 1;
	}
	/* Hooks are personal data: what is made is not for others to read. */
	umask(0027);
	process_guard_cores();
	switch (o.mode) {
	case MODE_CHECK:
		return check_command(&o);
	case MODE_VERIFY:
		return main_verify(&o);
	case MODE_ERASE:
		return erase_command(&o);
	case MODE_RETRY_BAD:
		return main_retry_bad(&o);
	case MODE_REPROCESS:
		return reprocess_command(&o);
	case MODE_SERVE:
		break;
	}
	return serve_is_cgi(&o.serve) ? main_serve_cgi(&o) :
	    main_serve_socket(&o);
}
