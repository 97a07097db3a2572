/* Sentry's REST API: one request at a time, as slowly as it wants it. */
#ifndef API_H
#define API_H

#include <signal.h>

#include "backfill/api_headers.h"
#include "base/json.h"

struct api;

#define API_WHY	400

struct api_config {
	const char	*base;		/* https://sentry.io; no slash at its
					 * end */
	const char	*token;
	const char	*ca;		/* certificates to trust, or NULL for
					 * the system's */
	unsigned	 timeout_s;	/* of one request, from end to end */
	const volatile sig_atomic_t *stop;	/* not 0: end soon */
	/* Called before a wait: for so long, and why. */
	void		(*waits)(int64_t ms, const char *why);
};

enum api_result {
	API_GOOD,
	API_GONE,	/* there is no such thing (any more): 404 */
	API_REFUSED,	/* and it will be so again */
	API_LATER,	/* it did not work out now: it may, later */
	API_STOPPED
};

/* An answer; api_answer_release() in any case. */
struct api_answer {
	struct api_headers	headers;
	struct text		body;
	struct json		root;	/* of all; value is in it: */
	struct json		value;	/* JSON_MISSING unless API_GOOD */
};

/* NULL without memory. */
struct api	*api_open(const struct api_config *);
void		 api_close(struct api *);

/* Asks for a path, which begins with /api/0/, with its query. It waits where
 * the API sets a limit, asks again after errors that pass, and follows no
 * redirect. `scope` is the permission that the token needs for this. Unless
 * API_GOOD, `why` says in a line what is wrong, in printable ASCII. */
enum api_result	api_get(struct api *, struct api_answer *, const char *path,
		    const char *scope, char why[API_WHY])
		    __attribute__((warn_unused_result));
void		 api_answer_release(struct api_answer *);

#endif
