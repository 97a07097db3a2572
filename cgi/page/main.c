/* sentry-webhooks-page: a page to look at, behind nginx's own login. */
#include <sys/stat.h>

#include "base/args.h"
#include "base/process_guard.h"
#include "page/page.h"
#include "server/plain_cgi.h"
#include "server/serve.h"

#define MAIN_THREADS		2
#define MAIN_THREADS_MAX	64

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

static const struct setting settings[] = {
	SERVE_SETTINGS("SENTRY_WEBHOOKS_PAGE"),
};

static void
main_set(void *options, int which, const char *name, const char *s)
{
	serve_set(options, which, name, s, MAIN_THREADS_MAX);
}

static void
main_read_options(struct serve_options *o, int argc, char *argv[])
{
	*o = (struct serve_options){ .socket_mode = SERVE_SOCKET_MODE,
	    .threads = MAIN_THREADS };
	args_program("sentry-webhooks-page", help);
	if (args_read(argc, argv, settings, sizeof(settings) /
	    sizeof(settings[0]), main_set, o) < argc)
		args_usage("an argument too many");
	if (o->db == NULL)
		o->db = args_default_db();
}

int
main(int argc, char *argv[])
{
	static struct serve_options o;	/* as long as the program */
	struct handler h;
	struct listener l;
	int status;

	serve_fill_descriptors();
	main_read_options(&o, serve_arguments(argc, argv), argv);
	umask(0027);
	process_guard_cores();
	h = page_handler(o.db);
	if (serve_is_cgi(&o)) {
		serve_block_signals();
		return plain_cgi_serve(&h) == 0 ? 0 : 1;
	}
	if ((status = serve_open(&l, &o)) != 0)
		return status;
	serve_block_signals();
	serve_log_start(&o, &l, NULL,
	    "everybody on this host may look, without a login");
	return serve_run(&l, &o, &h);
}
