/* What the worker and the page have in common as programs: settings,
 * descriptors, signals, the service manager, and how they are started. */
#ifndef SERVE_H
#define SERVE_H

#include "server/cgi.h"
#include "server/listen.h"

struct serve_options {
	const char	*db;		/* the database's path */
	const char	*socket;	/* a path or HOST:PORT; NULL: fd 0 */
	unsigned	 socket_mode;	/* of a Unix socket */
	unsigned	 threads;
	bool		 allow_root;
};

#define SERVE_SOCKET_MODE	0660

/* These settings, for a table that args_read() reads. Each program has its own
 * variables for its socket and threads: `prefix` begins their names. */
enum {
	SERVE_DB = 100, SERVE_SOCKET, SERVE_MODE, SERVE_THREADS, SERVE_ROOT
};
#define SERVE_SETTINGS(prefix) \
	{ SERVE_DB, "db", "SENTRY_WEBHOOKS_DB", SETTING_VALUE }, \
	{ SERVE_SOCKET, "socket", prefix "_SOCKET", SETTING_VALUE }, \
	{ SERVE_MODE, "socket-mode", prefix "_SOCKET_MODE", SETTING_VALUE }, \
	{ SERVE_THREADS, "threads", prefix "_THREADS", SETTING_VALUE }, \
	{ SERVE_ROOT, "allow-root", "SENTRY_WEBHOOKS_ALLOW_ROOT", \
	    SETTING_FLAG }

/* Sets one of them, as an args_set does; another id is left alone. Exits with
 * args_usage() where the value is wrong. */
void	serve_set(struct serve_options *, int id, const char *name,
	    const char *value, unsigned threads_max);

/* Opens /dev/null where one of the descriptors 0 to 2 is closed, so that no
 * file that is opened later becomes standard error. Before anything else. */
void	serve_fill_descriptors(void);

/* How many of the arguments are the program's own. A web server may give a CGI
 * program the words of a query without `=' as arguments (RFC 3875, 4.4), and a
 * stranger has written those: the last ones are left out if they are such
 * words, and all if they are not, but a word would be an option. */
int	serve_arguments(int argc, char *const argv[]);

/* Whether this process was started as a CGI program: the environment says so,
 * and fd 0 is no socket that listens (nor any socket, where the options name
 * another to listen on). */
bool	serve_is_cgi(const struct serve_options *);

/* Blocks SIGTERM, SIGINT and SIGHUP (unless nohup has it ignored), which
 * serve_run() waits for, and ignores SIGPIPE. Before any thread is made. */
void	serve_block_signals(void);

/* Opens the socket, unless root must not run (process_guard.h). 0, or the exit
 * status, after a line on standard error that says why. */
int	serve_open(struct listener *, const struct serve_options *)
	    __attribute__((warn_unused_result));

/* Logs the start, and the warning `others` if the socket's mode lets everybody
 * on the host connect. `spool` may be NULL. */
void	serve_log_start(const struct serve_options *, const struct listener *,
	    const char *spool, const char *others);

/* Serves the listener until one of these comes, finishes as threads_stop()
 * says, and closes the listener. Returns the exit status. */
int	serve_run(struct listener *, const struct serve_options *,
	    const struct handler *);

#endif
