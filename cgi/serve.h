/* What the programs do alike that serve a handler: descriptors, signals, CGI
 * or a socket. */
#ifndef SERVE_H
#define SERVE_H

#include "exchange.h"
#include "listen.h"

/* First of all. FastCGI leaves a program nothing but descriptor 0; a
 * connection or a file that is opened later must not become standard error:
 * the log would go into it. */
void	serve_keep_descriptors(void);

/* Whether it was started for one request, as CGI says, and so whatever an
 * environment that it shares with others names as a socket (or NULL). */
bool	serve_is_cgi(const char *socket);

/* SIGTERM and SIGINT, in this thread and all that it makes. */
void	serve_block_signals(void);

/* Serves the listener until one of these signals comes; then finishes what
 * was accepted and closes it. 0, or -1 when threads cannot be made. */
int	serve_until_told(struct listener *, unsigned threads,
	    const struct handler *) __attribute__((warn_unused_result));

#endif
