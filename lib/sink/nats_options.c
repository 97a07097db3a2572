#include "sink/nats_options.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SERVERS_MOST		16
#define NATS_CONNECT_MS		2000
#define NATS_RECONNECT_MS	500
#define NATS_PING_MS		5000	/* two unanswered: the server hangs */
#define NATS_WRITE_MS		3000	/* without it a write waits for ever */

/* nats://A,nats://B: any server of a cluster will do. */
static natsStatus
set_servers(natsOptions *o, const struct nats_sink_config *c)
{
	char *list = strdup(c->url), *at = list;
	const char *servers[SERVERS_MOST];
	int count = 0;
	natsStatus s;

	while (at != NULL && count < SERVERS_MOST) {
		servers[count++] = at;
		while ((at = strchr(at, ',')) != NULL && strncasecmp(at,
		    ",nats://", 8) != 0 && strncasecmp(at, ",tls://", 7) != 0)
			at++;
		if (at != NULL)
			*at++ = '\0';
	}
	s = count == 0 ? NATS_NO_MEMORY :
	    natsOptions_SetServers(o, servers, count);
	free(list);
	return s;
}

static natsStatus
set_secrets(natsOptions *o, const struct nats_sink_config *c)
{
	natsStatus s = NATS_OK;

	if (c->credentials != NULL)
		s = natsOptions_SetUserCredentialsFromFiles(o,
		    c->credentials, NULL);
	if (s == NATS_OK && c->user != NULL)
		s = natsOptions_SetUserInfo(o, c->user, c->password);
	if (s == NATS_OK && c->ca != NULL)
		s = natsOptions_LoadCATrustedCertificates(o, c->ca);
	/* The library does not make a connection secure because its URL begins
	 * with tls://. */
	if (s == NATS_OK && (c->ca != NULL || strcasestr(c->url, "tls://") !=
	    NULL))
		s = natsOptions_SetSecure(o, true);
	return s;
}

natsStatus
nats_options_create(natsOptions **options, const struct nats_sink_config *c,
    natsErrHandler on_error, void *arg)
{
	natsOptions *o;
	natsStatus s = natsOptions_Create(options);

	if (s != NATS_OK || (s = set_servers(*options, c)) != NATS_OK)
		return s;
	o = *options;
	/* These fail for values that are not allowed, and for nothing else. */
	(void)natsOptions_SetName(o, "sentry-deliver");
	(void)natsOptions_SetTimeout(o, NATS_CONNECT_MS);
	(void)natsOptions_SetMaxReconnect(o, -1);
	(void)natsOptions_SetReconnectWait(o, NATS_RECONNECT_MS);
	/* While the connection is lost a message fails at once: the library
	 * must not keep it, as the row is sent again anyway. */
	(void)natsOptions_SetReconnectBufSize(o, 1);
	(void)natsOptions_SetFailRequestsOnDisconnect(o, true);
	(void)natsOptions_SetPingInterval(o, NATS_PING_MS);
	(void)natsOptions_SetWriteDeadline(o, NATS_WRITE_MS);
	(void)natsOptions_SetErrorHandler(o, on_error, arg);
	return set_secrets(o, c);
}
