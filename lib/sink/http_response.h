/* What an event API's answer says: Inngest's, or that of one alike. */
#ifndef HTTP_RESPONSE_H
#define HTTP_RESPONSE_H

#include "base/text.h"

/* What an answer stands for that is none; and one that is not the sink's, but
 * whoever else's has the URL: a page, or nothing at all. */
#define HTTP_RESPONSE_STRANGE	502l
#define HTTP_RESPONSE_FOREIGN	404l

/* The status that an answer stands for: its own, unless it is 2xx and not the
 * sink's. Where `inngest` was asked that is JSON with a status of 200, or with
 * ids for all `sent` events, and no error; its status may be another. Elsewhere
 * it is anything but HTML, by `type`, the Content-Type, or by its looks. */
long	http_response_status(long status, struct span type, struct span body,
	    bool inngest, unsigned sent);

/* How many events Inngest has taken before the one that it refuses; -1 where
 * the answer does not say so. */
long	http_response_taken(struct span body);

/* Appends "HTTP 400: what the sink says"; `meant` is the status that it stands
 * for. */
void	http_response_words(struct text *, long status, long meant,
	    struct span body);

/* Puts stars in the place of every secret: a sink's words may repeat the URL
 * that it was asked by, and so the key. */
void	http_response_hide(struct text *, char *const *secrets, unsigned count);

#endif
