/* Plain CGI: the one request that the environment and standard input hold. */
#ifndef PLAIN_CGI_H
#define PLAIN_CGI_H

#include "server/exchange.h"

/* Writes the reply to standard output. 0, or -1 if that failed. */
int plain_cgi_serve(const struct handler *) __attribute__((warn_unused_result));

#endif
