/* A request, its reply, and who turns the one into the other. */
#ifndef EXCHANGE_H
#define EXCHANGE_H

#include "base/text.h"

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
void	exchange_write_reply(struct text *, const struct reply *);

/* Who answers; shared by all threads. */
#define REQUESTS_MOST	16	/* at once */
struct handler {
	/* Makes the replies of `count` requests, whose bodies are released
	 * after they were sent. */
	void		 (*answer)(void *arg, const struct request *,
			    struct reply *, unsigned count);
	/* Whether a request may take long, and so is answered alone; NULL: all
	 * of them. */
	bool		 (*alone)(const struct request *);
	bool		 (*moves)(void *arg);	/* else the watchdog hears
						 * nothing; NULL: always */
	void		*arg;
};

#endif
