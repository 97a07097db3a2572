/* The policy: one request in, one reply out. */
#ifndef ANSWER_H
#define ANSWER_H

#include "server/exchange.h"
#include "worker/keyring.h"
#include "store/writer.h"

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

/* A hook is answered after its commit, or once it is in the spool. What becomes
 * of it is counted and logged. The service outlives it. */
struct handler	answer_handler(struct service *);

#endif
