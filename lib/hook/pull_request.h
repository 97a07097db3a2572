/* The pull requests and the changes of code in a hook. */
#ifndef PULL_REQUEST_H
#define PULL_REQUEST_H

#include "hook/facts.h"

#define PULL_REQUESTS_MAX	32	/* of an observation */

/* What the hook does not say is { NULL, 0 }. */
struct pull_request {
	struct span	repository, number, id, url;
	bool		github;		/* the repository is on github.com */
};

/* Finds the first `limit` pull requests, each once. Returns how many there
 * are. */
size_t		pull_request_find_all(const struct facts *,
		    struct pull_request *found, size_t limit);

/* Appends REPOSITORY#NUMBER, or the one of the two that is known. */
void		pull_request_name(struct text *, const struct pull_request *);

/* Its id in the observation's references: its number, its id or its URL. */
struct span	pull_request_id(const struct pull_request *);

/* Appends its URL. On GitHub that is built from repository and number. */
void		pull_request_url(struct text *, const struct pull_request *);

/* Adds a line to a body for each changed file. `changes` is an object: a member
 * for each repository, whose value is the list of its files. */
void		pull_request_code_change_lines(struct text *,
		    struct json changes);

/* Adds a line to a body for each pull request. */
void		pull_request_lines(struct text *, const struct facts *);

#endif
