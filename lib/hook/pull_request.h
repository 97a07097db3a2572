/* The pull requests, and the changes of code, that a hook tells of. */
#ifndef PULL_REQUEST_H
#define PULL_REQUEST_H

#include "hook/facts.h"

#define PULL_REQUESTS_MAX	32	/* that an observation speaks of */

/* { NULL, 0 } is what is not said. */
struct pull_request {
	struct span	repository, number, id, url;
	bool		github;		/* the repository is one there */
};

/* Finds the first `limit` of them, each once. How many there are. */
size_t pull_request_find_all(
    const struct facts *, struct pull_request *, size_t limit);

/* Appends REPOSITORY#NUMBER, or what is known of the two. */
void		pull_request_name(struct text *, const struct pull_request *);

/* What it is referred to by: its number, its id or its URL. */
struct span	pull_request_id(const struct pull_request *);

/* Appends where it is looked at; nothing where that is not known. */
void		pull_request_url(struct text *, const struct pull_request *);

/* Adds a line for each file that was changed: `changes` has lists of them by
 * the names of repositories. */
void pull_request_code_change_lines(struct text *, struct json changes);

/* Adds a line for each pull request to a body. */
void		pull_request_lines(struct text *, const struct facts *);

#endif
