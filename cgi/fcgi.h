/* FastCGI 1.0, the responder's side: a connection in, its requests answered.
 *
 * Our own, because libfcgi 2.4.2 ends the process (an assertion on malloc)
 * when a PARAMS record claims 2^31 - 2 bytes, and writes behind a buffer on
 * its stack when a management record asks for one value four times. */
#ifndef FCGI_H
#define FCGI_H

#include "exchange.h"

#define FCGI_PARAMS_MAX	262144	/* bytes of all CGI variables together */

/* A connection: one request at a time, one thread at a time. Whatever the peer
 * sends, nothing here takes long: no read or write waits longer than 2 s, no
 * request takes longer than 10 s to arrive. */
struct fcgi;

/* Takes over a connected socket. NULL without memory: it is closed then.
 * waits(arg, true) is called before it waits for the peer for more than an
 * instant, and with false afterwards. */
struct fcgi	*fcgi_open(int fd, void (*waits)(void *arg, bool begins),
		    void *arg);
/* Where a refused body is still being sent, takes the rest of it first:
 * closing at once would break the sender's pipe before it reads the answer. */
void		 fcgi_close(struct fcgi *);

int		 fcgi_fd(const struct fcgi *);

/* Reads the head of the next request. False: there is none, or what came is
 * no request, and gets no answer. */
bool		 fcgi_next(struct fcgi *);

/* The clock of its deadlines: ms, monotonic. */
int64_t		 fcgi_now(void);

/* That request; its parameters live until the next one. */
struct request	 fcgi_request(struct fcgi *);

/* Sends the reply. True: the peer keeps the connection. */
bool		 fcgi_reply(struct fcgi *, const struct reply *);

/* Whether some of the next request has been read already. */
bool		 fcgi_has_more(const struct fcgi *);

#endif
