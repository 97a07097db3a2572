/* FastCGI 1.0, the responder's side: a connection in, its requests answered.
 *
 * Our own, because libfcgi ends the process (an assertion on malloc) when a
 * PARAMS record claims a name of 2 GB, and writes behind a buffer on its
 * stack when a management record asks for one value often enough. */
#ifndef FCGI_H
#define FCGI_H

#include "answer.h"

#define FCGI_PARAMS_MAX	262144	/* bytes of all CGI variables together */

/* Serves the requests of a connected socket, one after the other, answers
 * them and closes it. Whatever the peer sends, it ends: no read or write
 * waits longer than 2 s, no request takes longer than 10 s to arrive. What is
 * no request gets no answer. `stop` (atomic) ends a kept connection. */
void	fcgi_serve(int fd, struct service *, const bool *stop);

#endif
