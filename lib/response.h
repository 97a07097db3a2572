/* What an event API's answer says: Inngest's, or that of one alike. */
#ifndef RESPONSE_H
#define RESPONSE_H

#include "text.h"

/* What an answer stands for that is none. */
#define RESPONSE_STRANGE	502l

/* The status that an answer stands for: its own, or, in an answer of Inngest's
 * kind, the one in the body. An error in the body is no success, and neither
 * is, where `inngest` is asked, a page of who knows whom. */
long	response_status(long status, struct span body, bool inngest);

/* Appends "HTTP 400: what the sink says"; `meant` is the status that it stands
 * for. */
void	response_words(struct text *, long status, long meant,
	    struct span body);

/* Puts stars in the place of every secret: a sink's words may repeat the URL
 * that it was asked by, and so the key. */
void	response_hide(struct text *, char *const *secrets, unsigned count);

#endif
