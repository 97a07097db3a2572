/* FastCGI, by libfcgi: the requests that come on a connection, one after the
 * other. The only door to that library. */
#ifndef FCGI_H
#define FCGI_H

#include "server/cgi.h"

#define FCGI_HEAD_MAX	262144	/* bytes of all CGI variables together */
#define FCGI_PEER_MS	2000	/* one wait for the peer, reading or writing */

/* Starts libfcgi. Once, before anything else here, and after the program has
 * set its signals: libfcgi leaves those alone that are set. 0, or -1. */
int		 fcgi_start(void) __attribute__((warn_unused_result));

/* A connection, for one thread at a time. */
struct fcgi;

/* Takes over a connected socket. NULL without memory: it is closed then. */
struct fcgi	*fcgi_open(int fd);
void		 fcgi_close(struct fcgi *);
int		 fcgi_fd(const struct fcgi *);

/* What stands at the front of the connection. */
enum fcgi_front {
	FCGI_NOTHING,		/* nothing yet: wait until it can be read */
	FCGI_INCOMPLETE,	/* the beginning of a request's head */
	FCGI_REQUEST,		/* a head, with a part of its body or none */
	FCGI_WHOLE_REQUEST,	/* a head, and all of its body */
	FCGI_END		/* the peer has gone, or sends no request */
};

/* Looks at the front without reading it. libfcgi 2.4.2 to 2.4.5 end the
 * process for a parameter that claims 2 GiB, and every version up to 2.4.7 for
 * one management record (FCGI_GET_VALUES with too many names). That is why
 * libfcgi reads nothing but the head of a request as nginx sends it: whole,
 * and of FCGI_HEAD_MAX bytes at most.
 * `wait`: waits for the rest of an incomplete head, up to FCGI_PEER_MS, and
 * then never returns FCGI_INCOMPLETE. */
enum fcgi_front	 fcgi_peek(struct fcgi *, bool wait);

/* Reads the head that fcgi_peek() has found. False: libfcgi takes it for no
 * request; it gets no answer. */
bool		 fcgi_read_head(struct fcgi *);

/* The request whose head was read, for the handler. */
struct request	 fcgi_request(struct fcgi *);

/* Reads and drops what is left of the body, then sends the reply. It has to be
 * this order: on a kept connection the rest of the body would be taken for the
 * next request, and a peer that is still sending would get a broken pipe
 * before it reads the answer. True: the peer keeps the connection. */
bool		 fcgi_reply(struct fcgi *, const struct reply *);

#endif
