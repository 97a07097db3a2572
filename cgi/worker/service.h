/* The worker's service: what its requests need, and the handler that answers
 * them. */
#ifndef SERVICE_H
#define SERVICE_H

#include "server/cgi.h"
#include "store/writer.h"
#include "worker/keyring.h"

/* Set up once, then shared by all threads. */
struct service {
	struct keyring	*keyring;
	struct writer	*writer;	/* NULL: it could not be started */
	struct spool	*spool;		/* NULL: nothing works, all is 500 */
	const char	*db;
	struct span	 observe_list;
	size_t		 max_body;	/* bytes */
	unsigned	 commit_wait;	/* ms */
	bool		 redact;	/* keep hooks without personal data */
};

/* The service outlives the handler. */
struct handler	service_handler(struct service *);

#endif
