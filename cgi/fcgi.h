/* Requests over FastCGI, or one over plain CGI: the only door to libfcgi. */
#ifndef FCGI_H
#define FCGI_H

#include "answer.h"
#include "listen.h"

/* Serves the listener with so many threads until fcgi_stop(). 0, or -1 when
 * threads cannot be made. The caller has SIGUSR1 blocked. */
struct fcgi;
int	fcgi_start(struct fcgi **, const struct listener *, unsigned threads,
	    struct service *) __attribute__((warn_unused_result));

/* Finishes every request that was accepted, and, on a socket of our own, what
 * waits in its backlog; an inherited socket keeps its backlog for whoever
 * serves it next. */
void	fcgi_stop(struct fcgi *);

/* Serves the one request that the environment and standard input hold, and
 * writes the reply to standard output. 0, or -1 if that failed. */
int	cgi_once(struct service *) __attribute__((warn_unused_result));

#endif
