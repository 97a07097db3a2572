/* A request as CGI describes it (RFC 3875), its reply, and the handler that
 * makes the one from the other. FastCGI (fcgi.h) and plain CGI (plain_cgi.h)
 * both hand these to the handler, which does not know by which it is called. */
#ifndef CGI_H
#define CGI_H

#include "base/text.h"

struct request {
	/* A variable (RFC 3875, section 4.1) by its name; its bytes live until
	 * the reply is sent. { NULL, 0 } where it is not set. */
	struct span	 (*param)(void *arg, const char *name);
	/* Reads the next n bytes of the body into buf, and returns how many:
	 * fewer than n only at the body's end, or when the peer is gone. */
	size_t		 (*read)(void *arg, char *buf, size_t n);
	void		*arg;
};

struct reply {
	int		 status;
	const char	*reason;	/* of the status line */
	const char	*type;		/* of the content */
	const char	*headers;	/* further lines with CR LF, or NULL */
	bool		 bodiless;	/* HEAD: the length, but no body */
	struct text	 body;
};

#define REQUESTS_MOST	16	/* that are answered together */

/* What a program does with requests. All threads share it. */
struct handler {
	/* Fills reply[i] from request[i], for `count` of them, REQUESTS_MOST
	 * at most. The caller sends the replies, and releases their bodies. */
	void		 (*answer)(void *arg, const struct request *,
			    struct reply *, unsigned count);
	/* Whether this request may take long: it is then answered after those
	 * that came with it, and alone. NULL: every request is. */
	bool		 (*alone)(const struct request *);
	/* Whether the handler's own threads get on with their work: only then
	 * the service manager's watchdog is told that all is well. NULL: it
	 * has none. */
	bool		 (*alive)(void *arg);
	void		*arg;
};

/* The request's variable `name`. */
struct span	cgi_param(const struct request *, const char *name);

/* Appends the reply as a CGI program writes it (RFC 3875, section 6): header
 * lines with `Status:` first, an empty line, the body. */
void		cgi_write_reply(struct text *, const struct reply *);

#endif
