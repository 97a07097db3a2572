/* The answers that a request can get: each one's status, reason and body. */
#ifndef ANSWER_H
#define ANSWER_H

#include "server/cgi.h"

enum answer {
	/* to GET and HEAD: */
	ANSWER_HEALTH,
	ANSWER_READY,			/* its body is status_ready()'s */
	ANSWER_UNREADY,			/* likewise */
	ANSWER_METRICS,			/* its body is status_metrics()'s */
	/* to POST: */
	ANSWER_RECEIVED,		/* the hook is on stable storage */
	ANSWER_UNREADABLE,		/* so it is, but it is no JSON */
	ANSWER_NO_SECRET,
	ANSWER_NO_SIGNATURE,
	ANSWER_SIGNATURE_LENGTH,
	ANSWER_SIGNATURE_INVALID,
	ANSWER_BAD_REQUEST,
	ANSWER_TOO_LARGE,
	/* to any method: */
	ANSWER_METHOD,
	ANSWER_INTERNAL
};

struct answer_form {
	int		 status;
	const char	*reason;
	const char	*error;		/* its body is {"error":"..."} */
};
struct answer_form answer_form(enum answer);

/* Fills the reply with the answer; a body that is there is kept. */
void	answer_fill(struct reply *, enum answer);

#endif
