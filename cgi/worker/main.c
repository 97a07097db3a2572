/* sentry-webhooks: options, secrets, signals, threads. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "worker/answer.h"
#include "base/args.h"
#include "worker/check.h"
#include "base/environment.h"
#include "worker/erase_command.h"
#include "base/process_guard.h"
#include "base/log.h"
#include "server/memory.h"
#include "worker/options.h"
#include "server/plain_cgi.h"
#include "server/serve.h"
#include "worker/status.h"
#include "worker/verify.h"

static void
log_writer(void *arg, enum writer_event event, enum fault fault,
    const char *why, unsigned long count)
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
		log_begin(&l, fault == FAULT_NONE ? "info" : "error",
		    "database-retired");
		if (fault != FAULT_NONE) {
			log_str(&l, "fault", fault_name(fault));
			log_str(&l, "why", why);
		}
		log_str(&l, "msg", fault == FAULT_NONE ? "the log of the "
		    "database that was here before is in it" : "the log of "
		    "the database that was here before could not be moved "
		    "into it: its last hooks may be in the -wal file alone");
		break;
	}
	log_end(&l);
}

static int
fail(const char *what, const char *why)
{
	fprintf(stderr, "sentry-webhooks: %s: %s\n", what, why);
	return -1;
}

static void
log_open_file(const char *path, bool closed)
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
log_spool(const char *path, enum fault f)
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

/* The variable's own bytes: once read, nobody needs them any more. Later on
 * they would stand in every copy of this process's memory. */
static void
open_secrets(struct keyring **k, const struct options *o)
{
	*k = keyring_open(o->secret_list, o->secret_file);
	if (o->secret_list != NULL)
		explicit_bzero((char *)(uintptr_t)o->secret_list,
		    strlen(o->secret_list));
}

/* A database or a spool that does not work yet is no reason not to serve:
 * each stands in for the other, and both may come back. */
static int
open_service(struct service *s, const struct options *o)
{
	struct writer_config config = { .db = o->db, .say = log_writer,
	    .arg = (void *)(uintptr_t)o->db };
	char why[DB_WHY] = "";
	struct keyring_loan keys;
	enum fault f;

	*s = (struct service){ .db = o->db, .max_body = o->max_body,
	    .commit_wait = o->commit_wait, .redact = o->redact,
	    .observe_list = span_of(o->observe) };
	open_secrets(&s->keyring, o);
	if (s->keyring == NULL)
		return fail("secrets", "out of memory");
	keyring_borrow(s->keyring, &keys);
	if (keyring_loan_count(&keys) == 0)
		log_say("error", "no-secret", "POST is answered 500: set "
		    "SENTRY_CLIENT_SECRET or --secret-file");
	keyring_release(&keys);
	if ((s->spool = spool_open(o->spool)) == NULL)
		return fail("spool", "out of memory");
	if ((f = spool_check(s->spool)) != FAULT_NONE)
		log_spool(o->spool, f);
	config.spool = s->spool;
	config.observe_list = s->observe_list;
	config.redact = o->redact;
	if ((f = writer_start(&s->writer, &config, why)) != FAULT_NONE)
		return fail(o->db, why[0] != '\0' ? why : fault_name(f));
	process_guard_files(o->db, o->spool, log_open_file);
	return 0;
}

static void
close_service(struct service *s)
{
	if (s->writer != NULL)
		writer_stop(s->writer);
	spool_close(s->spool);
	keyring_close(s->keyring);
}

static void
log_start(const struct options *o, const struct listener *l)
{
	struct log line;

	log_begin(&line, "info", "start");
	log_str(&line, "version", PACKAGE_VERSION);
	log_str(&line, "socket", l->inherited ? "inherited" : o->socket);
	log_str(&line, "db", o->db);
	log_str(&line, "spool", o->spool);
	log_int(&line, "threads", o->threads);
	log_end(&line);
	environment_warn_unknown();
	if (listen_others(l) != 0)
		log_say("warning", "socket-mode", "everybody on this host "
		    "may connect to it");
}

static int
serve(const struct options *o, struct listener *l)
{
	struct service service;
	struct handler handler;
	int status = 1;

	serve_block_signals();
	if (open_service(&service, o) == 0) {
		log_start(o, l);
		handler = answer_handler(&service);
		status = serve_until_told(l, o->threads, &handler) == 0 ? 0 :
		    1;
		if (status != 0)
			fail("threads", strerror(errno));
	}
	close_service(&service);
	return status;
}

static int
serve_once(const struct options *o)
{
	struct service service;
	struct handler handler;
	int status;

	/* A request that is under way is finished. */
	serve_block_signals();
	/* Without a writer the answer is 500, but it is an answer. */
	(void)open_service(&service, o);
	handler = answer_handler(&service);
	status = plain_cgi_serve(&handler) == 0 ? 0 : 1;
	close_service(&service);
	return status;
}

/* A CGI program is the web server's, and runs as that does. */
static bool
may_run(const struct options *o)
{
	char why[PROCESS_GUARD_WHY];
	bool may = process_guard_root(o->db, o->allow_root, why);

	if (!may)
		fprintf(stderr, "sentry-webhooks: %s\n", why);
	else if (why[0] != '\0' && !o->allow_root)
		log_say("warning", "root", why);
	return may;
}

static int
serve_socket(const struct options *o)
{
	bool inherited;
	struct listener l;
	char why[LISTEN_WHY];
	int status;

	if (serve_is_cgi(o->socket))
		return serve_once(o);
	inherited = o->socket == NULL && listen_inherited(&l);
	if (o->socket == NULL && !inherited) {
		fail("no socket", "give --socket PATH, or a listening socket "
		    "on fd 0 (--help says more)");
		return EXIT_USAGE;
	}
	if (!may_run(o))
		return EXIT_NOPERM;
	if (!inherited &&
	    listen_open(&l, o->socket, o->socket_mode, why) != 0) {
		fail("--socket", why);
		return 1;
	}
	status = serve(o, &l);
	listen_close(&l);
	return status;
}

static int
verify_mode(const struct options *o)
{
	struct keyring *k;
	int status;

	open_secrets(&k, o);
	status = k == NULL ? 1 : verify(k, o->signature, o->file);
	keyring_close(k);
	return status;
}

static int
retry_bad(const struct options *o)
{
	unsigned long n;
	enum fault f = spool_retry(o->spool, &n);

	if (f != FAULT_NONE && f != FAULT_GONE)
		return -fail(o->spool, fault_name(f));
	printf("%lu %s for the worker to try again\n", n, n == 1 ? "file" :
	    "files");
	return 0;
}

int
main(int argc, char *argv[])
{
	static struct options o;	/* as long as the program */

	memory_keep_small();
	serve_keep_descriptors();
	status_start();
	options_read(&o, argc, argv);
	if (signature_start() != 0) {
		fail("libsodium", "it cannot start");
		return 1;
	}
	/* What is kept is personal data: not for others. */
	umask(0027);
	process_guard_cores();
	switch (o.mode) {
	case MODE_CHECK:
		return check(&o);
	case MODE_VERIFY:
		return verify_mode(&o);
	case MODE_ERASE:
		return erase_command(&o);
	case MODE_RETRY_BAD:
		return retry_bad(&o);
	case MODE_SERVE:
		break;
	}
	return serve_socket(&o);
}
