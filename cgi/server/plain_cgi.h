/* Plain CGI: the web server starts the program for one request, with its
 * variables in the environment and its body on standard input. */
#ifndef PLAIN_CGI_H
#define PLAIN_CGI_H

#include "server/cgi.h"

/* Has the handler answer that request, and writes the reply to standard
 * output. 0, or -1 when it could not be written or there was no memory. */
int plain_cgi_serve(const struct handler *) __attribute__((warn_unused_result));

#endif
