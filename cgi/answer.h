/* The policy: one request in, one reply out. */
#ifndef ANSWER_H
#define ANSWER_H

#include "keyring.h"
#include "writer.h"

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
	bool		 allow;		/* with an Allow header */
	bool		 bodiless;	/* HEAD: the length, but no body */
	struct text	 body;
};

/* Everything that answering needs; set up once, shared by all threads. */
struct service {
	struct keyring	*keyring;
	struct writer	*writer;	/* NULL: no database is ours */
	struct spool	*spool;
	const char	*db;
	struct span	 observe_list;
	size_t		 max_body;	/* bytes */
	unsigned	 commit_wait;	/* ms */
	bool		 redact;	/* keep hooks without personal data */
};

/* A request on its way to its reply. A hook is answered after its commit, and
 * nobody needs to wait for that in between. */
struct exchange {
	struct reply	 reply;
	/* The rest is answer.c's: a POST, step by step. */
	struct service	*service;
	struct hook	 hook;
	struct receipt	*receipt;
	struct waiting	 waiting;
	enum outcome	 outcome;
	enum resource	 resource;	/* as metrics count it */
	const char	*kept;		/* "database", "spool" or NULL */
	enum fault	 fault;
	int64_t		 from;		/* us, monotonic */
};

/* Reads the request. True: x->reply is the answer, counted and logged. False:
 * it is a hook that waits for its commit. When done() has been called with
 * &x->waiting, or answer_withdraw() was true, answer_finish() makes the
 * reply; until then the request's parameters must live. */
bool	answer(struct exchange *x, struct service *, const struct request *,
	    void (*done)(struct waiting *));
bool	answer_withdraw(struct exchange *);
void	answer_finish(struct exchange *);
void	answer_release(struct exchange *);

/* Appends the reply as CGI says it, `Status:` line first. */
void	reply_write(struct text *, const struct reply *);

#endif
