/* sentry-webhooks-page: a page to look at, behind nginx's own login. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/args.h"
#include "base/environment.h"
#include "base/process_guard.h"
#include "base/log.h"
#include "page/page.h"
#include "server/plain_cgi.h"
#include "server/serve.h"

#define THREADS_MAX	64

static const char help[] =
"Usage: sentry-webhooks-page [OPTION]...\n"
"\n"
"Shows the outbox of sentry-webhooks as a page of HTML: FastCGI or CGI,\n"
"behind nginx, which has to ask who is there. It only reads.\n"
"\n"
"      --db FILE            the database (outbox.db)\n"
"      --socket WHERE       listen on a path or HOST:PORT (fd 0, a socket)\n"
"      --socket-mode OCTAL  mode of the Unix socket (0660)\n"
"      --threads N          requests served at once (2)\n"
"      --allow-root         run as root even where that is surely not meant:\n"
"                           under systemd, or on somebody else's database\n"
"      --help, --version\n"
"\n"
"Environment: SENTRY_WEBHOOKS_DB, SENTRY_WEBHOOKS_PAGE_SOCKET,\n"
"SENTRY_WEBHOOKS_PAGE_SOCKET_MODE, SENTRY_WEBHOOKS_PAGE_THREADS,\n"
"SENTRY_WEBHOOKS_ALLOW_ROOT (1 or 0). Options win. Exit\n"
"status: 0; 1: it does not work; 64: usage; 77: not as root.\n";

struct page_options {
	const char	*db;
	const char	*socket;	/* NULL: what fd 0 is */
	unsigned	 socket_mode;
	unsigned	 threads;
	bool		 allow_root;
};

enum { SET_DB, SET_SOCKET, SET_SOCKET_MODE, SET_THREADS, SET_ALLOW_ROOT };

static const struct setting settings[] = {
	{ SET_DB, "db", "SENTRY_WEBHOOKS_DB", 0 },
	{ SET_SOCKET, "socket", "SENTRY_WEBHOOKS_PAGE_SOCKET", 0 },
	{ SET_SOCKET_MODE, "socket-mode", "SENTRY_WEBHOOKS_PAGE_SOCKET_MODE",
	    0 },
	{ SET_THREADS, "threads", "SENTRY_WEBHOOKS_PAGE_THREADS", 0 },
	{ SET_ALLOW_ROOT, "allow-root", "SENTRY_WEBHOOKS_ALLOW_ROOT",
	    SETTING_FLAG },
};

static void
set(void *arg, int which, const char *name, const char *s)
{
	struct page_options *o = arg;

	if (*s == '\0' && which != SET_ALLOW_ROOT)
		args_usage("%s wants a value", name);
	switch (which) {
	case SET_DB:
		o->db = s;
		break;
	case SET_SOCKET:
		o->socket = s;
		break;
	case SET_SOCKET_MODE:
		o->socket_mode = (unsigned)args_number(name, s, 8, 0, 0777);
		break;
	case SET_THREADS:
		o->threads = (unsigned)args_number(name, s, 10, 1,
		    THREADS_MAX);
		break;
	case SET_ALLOW_ROOT:
		if (*s != '\0' && strcmp(s, "0") != 0 && strcmp(s, "1") != 0)
			args_usage("%s wants 1 or 0", name);
		o->allow_root = *s != '0';
		break;
	}
}

static void
read_options(struct page_options *o, int argc, char *argv[])
{
	const char *state = args_variable("STATE_DIRECTORY");

	*o = (struct page_options){ .socket_mode = 0660, .threads = 2 };
	args_program("sentry-webhooks-page", help);
	if (args_read(argc, argv, settings, sizeof(settings) /
	    sizeof(settings[0]), set, o) < argc)
		args_usage("an argument too many");
	if (o->db == NULL)
		o->db = state == NULL ? "outbox.db" :
		    args_join(state, "/outbox.db");
}

static int
fail(const char *why)
{
	fprintf(stderr, "sentry-webhooks-page: %s\n", why);
	return 1;
}

static void
log_start(const struct page_options *o, const struct listener *l)
{
	struct log line;

	log_begin(&line, "info", "start");
	log_str(&line, "version", PACKAGE_VERSION);
	log_str(&line, "socket", l->inherited ? "inherited" : o->socket);
	log_str(&line, "db", o->db);
	log_int(&line, "threads", o->threads);
	log_end(&line);
	environment_warn_unknown();
	if (listen_others(l) != 0)
		log_say("warning", "socket-mode", "everybody on this host "
		    "may look, without a login");
}

static int
serve(const struct page_options *o, const struct handler *h)
{
	struct listener l;
	/* Equal today. NOLINTNEXTLINE(bugprone-branch-clone) */
	char why[PROCESS_GUARD_WHY > LISTEN_WHY ? PROCESS_GUARD_WHY
						: LISTEN_WHY];

	if (o->socket == NULL && !listen_inherited(&l))
		args_usage("no socket: give --socket PATH, or a listening "
		    "socket on fd 0");
	if (!process_guard_root(o->db, o->allow_root, why)) {
		(void)fail(why);
		return EXIT_NOPERM;
	}
	if (o->socket != NULL &&
	    listen_open(&l, o->socket, o->socket_mode, why) != 0)
		return fail(why);
	serve_block_signals();
	log_start(o, &l);
	if (serve_until_told(&l, o->threads, h) == 0)
		return 0;
	(void)fail(strerror(errno));
	listen_close(&l);
	return 1;
}

int
main(int argc, char *argv[])
{
	static struct page_options o;	/* as long as the program */
	struct handler h;

	serve_keep_descriptors();
	read_options(&o, argc, argv);
	umask(0027);
	process_guard_cores();
	h = page_handler(o.db);
	if (!serve_is_cgi(o.socket))
		return serve(&o, &h);
	serve_block_signals();
	return plain_cgi_serve(&h) == 0 ? 0 : 1;
}
