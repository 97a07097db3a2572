/* The URL of an event API: what it says about the server, and which parts of it
 * are secrets. */
#ifndef HTTP_URL_H
#define HTTP_URL_H

#include <stdbool.h>

#include "sink/sink.h"

#define HTTP_URL_SECRETS	16	/* of one URL, at most */

struct http_url {
	char		 shown[SINK_NAME];	/* scheme, host and port */
	bool		 inngest;	/* its path is BASE/e/KEY */
	const char	*warning;	/* as in struct sink */
	/* What no log and no row may show: the user and password, the end and
	 * the long parts of the path, the values of the query; each as it
	 * stands in the URL, and decoded. */
	char		*secret[HTTP_URL_SECRETS];
	unsigned	 secrets;
};

/* Start from { 0 }. False if this is no URL of http or https. */
bool	http_url_read(struct http_url *, const char *url);
void	http_url_release(struct http_url *);

#endif
