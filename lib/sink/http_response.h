/* What the answer of an event API means: Inngest's, or another one's. */
#ifndef HTTP_RESPONSE_H
#define HTTP_RESPONSE_H

#include "base/text.h"

/* Statuses for an answer of 2xx that is no success. STRANGE: it cannot be read,
 * for want of memory, or for its status line (it is tried again, like a 502).
 * FOREIGN: it is not the answer of an event API, but a web page, say (like a
 * 404: the sink is misconfigured, and no row pays). */
#define HTTP_RESPONSE_STRANGE	502l
#define HTTP_RESPONSE_FOREIGN	404l

/* Returns the status that an answer stands for. That is its own status, unless
 * it is 2xx and the body is not an event API's:
 * - If `inngest`, the body must be JSON that has "status": 200, or, without a
 *   number there, as many "ids" as there were events (`sent`), and no "error".
 * - Elsewhere the body may be anything but HTML, by `type`, the Content-Type,
 *   or by its first bytes. */
long	http_response_status(long status, struct span type, struct span body,
	    bool inngest, unsigned sent);

/* How many events Inngest has taken before the one that it refuses; -1 if the
 * answer does not say so. */
long	http_response_taken(struct span body);

/* Appends the reason for a row: "HTTP 400: " and the server's error message,
 * or the beginning of its answer. `meant` is what http_response_status()
 * returned. */
void	http_response_words(struct text *, long status, long meant,
	    struct span body);

/* Replaces every secret by stars: the server may repeat the URL of the request,
 * and so the key. */
void	http_response_hide(struct text *, char *const *secrets, unsigned count);

#endif
