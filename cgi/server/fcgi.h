/* FastCGI, by libfcgi: a connection in, its requests answered one by one. */
#ifndef FCGI_H
#define FCGI_H

#include "server/exchange.h"

#define FCGI_HEAD_MAX	262144	/* bytes of all CGI variables together */
#define FCGI_PEER_MS	2000	/* one wait for the peer, reading or writing */

/* Once, before anything else here, with the signals as they shall be. 0, or -1
 * when libfcgi cannot start. */
int		 fcgi_start(void) __attribute__((warn_unused_result));

/* A connection: one thread at a time. */
struct fcgi;

/* Takes over a connected socket. NULL without memory: it is closed then. */
struct fcgi	*fcgi_open(int fd);
void		 fcgi_close(struct fcgi *);
int		 fcgi_fd(const struct fcgi *);

/* What stands at the front of the connection, without reading it. libfcgi 2.4.2
 * to 2.4.5 end the process for a parameter that claims 2 GiB, and all of them
 * for one management record: nothing but the head of a request, as nginx sends
 * it, whole and of FCGI_HEAD_MAX bytes at most, may reach it. */
enum fcgi_front {
	FCGI_NOTHING,		/* nothing yet: wait until it can be read */
	FCGI_BEGUN,		/* a part of that head */
	FCGI_REQUEST,		/* fcgi_next() is next */
	FCGI_WHOLE_REQUEST,	/* likewise, and nothing of it is to come */
	FCGI_OVER		/* the end, or no request */
};

/* `wait`: for the rest of what is begun, up to FCGI_PEER_MS, so that it is a
 * request or over. */
enum fcgi_front	 fcgi_look(struct fcgi *, bool wait);

/* Reads the head of that request. False: it is none, and gets no answer. */
bool		 fcgi_next(struct fcgi *);

/* The request; its parameters live until the reply. */
struct request	 fcgi_request(struct fcgi *);

/* Sends the reply, after taking whatever is left of the body: what a kept
 * connection still holds of it would count as the next request, and who is
 * still sending would find a broken pipe before the answer. True: the peer
 * keeps the connection. */
bool		 fcgi_reply(struct fcgi *, const struct reply *);

#endif
