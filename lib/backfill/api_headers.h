/* What the headers of an answer of Sentry's API say: pages and limits. */
#ifndef API_HEADERS_H
#define API_HEADERS_H

#include <stdint.h>

#include "base/span.h"

#define API_CURSOR_MAX	200		/* bytes; Sentry's have some 20 */
#define API_WAIT_MAX_MS	300000		/* of one wait; limits are per minute */

/* Start from { 0 }; one line at a time goes in. */
struct api_headers {
	int	status;			/* 0: no status line so far */
	bool	more;			/* there is a next page: */
	char	cursor[API_CURSOR_MAX + 1];
	int64_t	hits;			/* in all pages; 0: not said */
	int64_t	retry_after_s;		/* 0: not said */
	int64_t	reset_s;		/* since 1970; 0: not said */
	bool	used_up;		/* no request is left until then */
};

/* Reads a line, with or without its end. A status line starts anew. */
void	api_headers_read(struct api_headers *, struct span line);

/* How long to wait before the next request, seen from `now`, in ms: 0 for not
 * at all, API_WAIT_MAX_MS at most. */
int64_t	api_headers_wait_ms(const struct api_headers *, int64_t now);

#endif
