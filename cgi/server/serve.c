#include "server/serve.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/args.h"
#include "base/ascii.h"
#include "base/environment.h"
#include "base/log.h"
#include "base/process_guard.h"
#include "base/sd_notify.h"
#include "server/heap.h"
#include "server/threads.h"

#define WATCH_MS	1000	/* from one threads_watch() to the next */
#define PORT_MAX	65535

/* A path, or HOST:PORT with a port that is one. */
static void
serve_check_socket(const char *name, const char *s)
{
	const char *colon = strrchr(s, ':');

	if (colon == s)
		args_usage("%s wants a path or HOST:PORT", name);
	if (!listen_is_path(s))
		(void)args_number(name, colon + 1, 10, 1, PORT_MAX);
}

void
serve_set(struct serve_options *o, int id, const char *name, const char *s,
    unsigned threads_max)
{
	switch (id) {
	case SERVE_DB:
		o->db = s;
		break;
	case SERVE_SOCKET:
		serve_check_socket(name, s);
		o->socket = s;
		break;
	case SERVE_MODE:
		o->socket_mode = (unsigned)args_number(name, s, 8, 0, 0777);
		break;
	case SERVE_THREADS:
		o->threads = (unsigned)args_number(name, s, 10, 1,
		    threads_max);
		break;
	case SERVE_ROOT:
		o->allow_root = args_flag(name, s);
		break;
	}
}

void
serve_fill_descriptors(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
}

/* The byte of a query at *q, which moves behind it. */
static char
serve_decode(const char **q)
{
	const char *s = *q;
	int high = s[0] == '%' ? ascii_hex_value(s[1]) : -1;
	int low = high >= 0 ? ascii_hex_value(s[2]) : -1;

	*q += low >= 0 ? 3 : 1;
	return low >= 0 ? (char)(high << 4 | low) : *s;
}

/* Whether an argument is the query's word at *q, which moves behind that. A
 * server may put backslashes into it. */
static bool
serve_is_word(const char *argument, const char **q)
{
	bool same = true;

	while (**q != '\0' && **q != '+') {
		char c = serve_decode(q);

		argument += same && *argument == '\\' && c != '\\';
		same = same && *argument != '\0' && *argument++ == c;
	}
	*q += **q == '+';
	return same && *argument == '\0';
}

int
serve_arguments(int argc, char *const argv[])
{
	const char *query = getenv("QUERY_STRING"), *q = query;
	struct listener l;
	bool same = true, dash = false;
	int words = 0, i;

	if (argc < 2 || query == NULL || query[0] == '\0' ||
	    strchr(query, '=') != NULL || getenv("GATEWAY_INTERFACE") == NULL ||
	    listen_inherited(&l))
		return argc;
	for (words = 1; *q != '\0'; q++)
		words += *q == '+';
	for (i = argc - words, q = query; *q != '\0'; i++) {
		const char *first = q;

		dash |= serve_decode(&first) == '-';
		same &= serve_is_word(i > 0 && i < argc ? argv[i] : "", &q);
	}
	return same && words < argc ? argc - words : dash ? 1 : argc;
}

bool
serve_is_cgi(const struct serve_options *o)
{
	struct listener l;
	struct stat st;

	if (getenv("GATEWAY_INTERFACE") == NULL || listen_inherited(&l))
		return false;
	return o->socket == NULL || fstat(STDIN_FILENO, &st) != 0 ||
	    !S_ISSOCK(st.st_mode);
}

/* A blocked signal waits to be taken even while it is ignored: what nohup has
 * ignored is left out. */
static sigset_t
serve_end_signals(void)
{
	struct sigaction hangup;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	if (sigaction(SIGHUP, NULL, &hangup) == 0 &&
	    hangup.sa_handler != SIG_IGN)
		sigaddset(&set, SIGHUP);
	return set;
}

void
serve_block_signals(void)
{
	sigset_t set = serve_end_signals();

	signal(SIGPIPE, SIG_IGN);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
}

int
serve_open(struct listener *l, const struct serve_options *o)
{
	char why[PROCESS_GUARD_WHY + LISTEN_WHY];

	if (o->socket == NULL && !listen_inherited(l))
		args_usage("no socket: give --socket PATH, or a listening "
		    "socket on fd 0");
	if (!process_guard_root(o->db, o->allow_root, why)) {
		args_error("%s", why);
		return EXIT_NOPERM;
	}
	if (why[0] != '\0' && !o->allow_root)
		log_say("warning", "root", why);
	if (o->socket == NULL ||
	    listen_open(l, o->socket, o->socket_mode, why) == 0)
		return 0;
	args_error("--socket: %s", why);
	return 1;
}

void
serve_log_start(const struct serve_options *o, const struct listener *l,
    const char *spool, const char *others)
{
	struct log line;

	log_begin(&line, "info", "start");
	log_str(&line, "version", PACKAGE_VERSION);
	log_str(&line, "socket", l->inherited ? "inherited" : o->socket);
	log_str(&line, "db", o->db);
	log_str(&line, "spool", spool);
	log_int(&line, "threads", o->threads);
	log_end(&line);
	environment_warn_unknown();
	if (listen_others(l) != 0)
		log_say("warning", "socket-mode", others);
}

/* Every WATCH_MS, or as often as the service manager's watchdog wants it, it
 * cuts off late peers, gives memory back, and tells the watchdog that all is
 * well. */
static int
serve_wait_for_signal(struct threads *t, const struct handler *h)
{
	sigset_t set = serve_end_signals();
	int64_t every = sd_notify_watchdog_ms(), told = 0;
	int64_t step = every > 0 && every < WATCH_MS ? every : WATCH_MS;
	struct timespec ts = { .tv_sec = step / 1000,
	    .tv_nsec = step % 1000 * 1000000 };
	int sig;

	sd_notify_send("READY=1");
	for (int64_t at = step; (sig = sigtimedwait(&set, NULL, &ts)) < 0;
	    at += step) {
		threads_watch(t);
		heap_trim();
		if (every <= 0 || at - told < every || !threads_alive(t) ||
		    (h->alive != NULL && !h->alive(h->arg)))
			continue;
		told = at;
		sd_notify_send("WATCHDOG=1");
	}
	sd_notify_send("STOPPING=1");
	return sig;
}

int
serve_run(struct listener *l, const struct serve_options *o,
    const struct handler *h)
{
	struct threads *threads;
	int status = 1;

	if (threads_start(&threads, l, o->threads, h) == 0) {
		log_say("info", "stop",
		    strsignal(serve_wait_for_signal(threads, h)));
		/* First nobody can connect any more: what waits in the
		 * backlog then is all that threads_stop() has to finish. */
		listen_leave(l);
		threads_stop(threads);
		status = 0;
	} else {
		args_error("threads: %s", strerror(errno));
	}
	listen_close(l);
	return status;
}
