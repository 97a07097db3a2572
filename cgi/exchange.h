/* A request, its reply, and who turns the one into the other. */
#ifndef EXCHANGE_H
#define EXCHANGE_H

#include "text.h"

/* How a request is read, whatever it came by. */
struct request {
	/* A CGI variable, { NULL, 0 } where it is not set. */
	struct span	 (*param)(void *arg, const char *name);
	/* Up to n bytes of the body; fewer only when there are no more. */
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

/* Appends the reply as CGI says it, `Status:` line first. */
void	reply_write(struct text *, const struct reply *);

/* A request on its way to its reply: what those see of it who carry both. It
 * is the first member of what a handler keeps about the request. */
struct exchange {
	struct reply	 reply;
	bool		 slow;		/* finish() waits for a disk */
	/* The carrier's: a put-off reply can be finished. On any thread. */
	void		 (*done)(struct exchange *);
};

/* Who answers; shared by all threads. */
struct handler {
	size_t		 size;		/* of what it keeps about a request */
	/* Reads the request. True: x->reply is the answer. False: it is put
	 * off. When x->done() has been called, or withdraw() was true, which
	 * is tried after `patience`, finish() makes the reply; until then the
	 * request's parameters must live. */
	bool		 (*begin)(struct exchange *x, void *arg,
			    const struct request *);
	/* NULL, like finish(), where begin() is always true. */
	bool		 (*withdraw)(struct exchange *);
	void		 (*finish)(struct exchange *);
	void		 (*release)(struct exchange *);
	unsigned	 patience;	/* ms */
	bool		 waits;		/* begin() does, for a disk */
	bool		 (*moves)(void *arg);	/* else the watchdog hears
						 * nothing; NULL: always */
	void		*arg;
};

#endif
