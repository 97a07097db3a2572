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
};

/* Answers, counts and logs. The reply's body is the caller's to release. */
void	answer(struct service *, const struct request *, struct reply *);

/* Appends the reply as CGI says it, `Status:` line first. */
void	reply_write(struct text *, const struct reply *);

#endif
