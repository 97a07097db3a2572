/* What the programs do alike that serve a handler: descriptors, signals, the
 * service manager, CGI or a socket. */
#ifndef SERVE_H
#define SERVE_H

#include "server/exchange.h"
#include "server/listen.h"

/* First of all: descriptors 0 to 2 are in use, so that nothing that is opened
 * later is taken for standard error. */
void	serve_keep_descriptors(void);

/* Whether this process is a CGI program: the environment says so, and fd 0 is
 * no listening socket (nor any, if it was told to listen on `socket`). */
bool	serve_is_cgi(const char *socket);

/* SIGTERM and SIGINT wait until serve_until_told() asks for them, SIGPIPE is
 * ignored: before any thread is made. */
void	serve_block_signals(void);

/* Serves the listener with `count` threads until SIGTERM or SIGINT; what
 * becomes of the rest then is said of threads_stop(). Closes the listener. 0,
 * or -1 when threads cannot be made. */
int	serve_until_told(struct listener *, unsigned count,
	    const struct handler *);

#endif
