#include "sink/nats_stream.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <nats/nats.h>

#include "base/clock.h"
#include "sink/envelope.h"

#define SUBJECTS	"sentry.observation.>"
#define SUBJECT_MOST	1024	/* bytes; the server takes 4 KiB a line */
#define WINDOW_LEAST_NS	(3600ll * 1000000000)	/* of the stream's duplicates */
#define WINDOW_NEW_NS	(7200ll * 1000000000)	/* of one that we make */
#define SERVERS_MOST	16
#define API_MS		2000	/* a question to JetStream */
/* libnats remembers each publish for as long as its acknowledgement may take,
 * also when that has come: 90 bytes at 50,000/s. And to send again is cheap. */
#define ACK_MOST_S	5
#define RECONNECT_MS	500
#define CONNECT_MS	2000
#define PING_MS		5000	/* two unanswered: the server hangs */
#define WRITE_MS	3000	/* or else a write would wait for ever */
#define CLOSE_MS	3000	/* for the library's threads to end */

struct nats_stream {
	struct nats_sink_config	 config;
	natsOptions		*options;
	natsStatistics		*statistics;
	natsConnection		*connection;	/* NULL: not yet */
	jsCtx			*js;
	uint64_t		 first_seq;
	bool			 keeps;		/* it loses nothing inside */
	struct nats_unacked		*waiting;
	/* By the library's threads: ms, monotonic. */
	atomic_int_least64_t	 denied_at, acked_at;
};

/* The library's last words on this thread, where they say more than the
 * status. They hold no address and no secret for these. */
static const char *
words(natsStatus s)
{
	const char *last;
	natsStatus of;

	if (s == NATS_ERR || s == NATS_SSL_ERROR) {
		last = nats_GetLastError(&of);
		if (of == s && last != NULL && last[0] != '\0')
			return last;
	}
	return natsStatus_GetText(s);
}

/* ---- acknowledgements ---- */

/* What an error means. Nobody there, no room, or another stream than ours: the
 * row is not to blame. */
static enum fate
fate_of(natsStatus status, jsErrCode code, const char *why)
{
	switch (status) {
	case NATS_MAX_PAYLOAD:
	case NATS_INVALID_SUBJECT:
		return FATE_REFUSED;
	case NATS_TIMEOUT:
		return FATE_UNREACHABLE;
	case NATS_NO_MEMORY:
		return FATE_LATER;
	case NATS_ERR:
		break;
	default:
		return FATE_MISCONFIGURED;
	}
	if (code == JSStreamMessageExceedsMaximumErr)
		return FATE_REFUSED;
	/* One workspace's share is full: others may have room. */
	return strstr(why, "per subject") != NULL ? FATE_LATER :
	    FATE_MISCONFIGURED;
}

/* The server drops what is not permitted, and says so apart from it. */
static bool
is_denied(struct nats_stream *st)
{
	return atomic_load(&st->denied_at) > atomic_load(&st->acked_at);
}

/* On a thread of the library. */
static void
on_ack(jsCtx *js, natsMsg *msg, jsPubAck *ack, jsPubAckErr *error, void *arg)
{
	struct nats_stream *st = arg;
	const char *id = NULL, *why;
	enum fate fate;

	(void)js;
	if (natsMsgHeader_Get(msg, "Nats-Msg-Id", &id) == NATS_OK) {
		if (ack != NULL) {
			atomic_store(&st->acked_at, clock_ms());
			nats_unacked_set_fate(st->waiting, id, FATE_ACKED,
			    ack->Sequence, "");
		} else {
			why = error->ErrText != NULL ? error->ErrText :
			    natsStatus_GetText(error->Err);
			fate = fate_of(error->Err, error->ErrCode, why);
			if (fate == FATE_UNREACHABLE && is_denied(st)) {
				fate = FATE_MISCONFIGURED;
				why = "publishing to " SUBJECTS " is not "
				    "permitted";
			}
			nats_unacked_set_fate(st->waiting, id, fate, 0, why);
		}
	}
	natsMsg_Destroy(msg);
}

/* On a thread of the library. */
static void
on_error(natsConnection *connection, natsSubscription *sub, natsStatus s,
    void *arg)
{
	struct nats_stream *st = arg;

	(void)connection;
	(void)sub;
	if (s == NATS_NOT_PERMITTED)
		atomic_store(&st->denied_at, clock_ms());
}

/* ---- the stream ---- */

/* Whether what is asked of JetStream about a stream, $JS.API.STREAM.INFO.NAME,
 * is taken by a pattern: the stream's acknowledgement is an answer then too.
 * Whether servers let one make such a stream depends on their version. */
static bool
takes_questions(const char *pattern)
{
	static const char *const asked[] = { "$JS", "API", "STREAM", "INFO" };

	for (int i = 0; i < 4 && strcmp(pattern, ">") != 0; i++) {
		size_t n = strcspn(pattern, ".");

		if (pattern[n] == '\0' || ((n != 1 || *pattern != '*') &&
		    (n != strlen(asked[i]) || memcmp(pattern, asked[i],
		    n) != 0)))
			return false;
		pattern += n + 1;
	}
	return strchr(pattern, '.') == NULL;
}

static const char *
misfit(const jsStreamConfig *c)
{
	bool covered = false;

	for (int i = 0; i < c->SubjectsLen; i++) {
		if (takes_questions(c->Subjects[i]))
			return "its subjects must not hold those of JetStream "
			    "(as > and *.> do): it answers for it then";
		covered |= envelope_subject_fits(c->Subjects[i]);
	}
	if (!covered)
		return "its subjects must hold " SUBJECTS " (nats stream edit "
		    "--subjects)";
	if (c->Storage != js_FileStorage)
		return "its storage must be file, not memory: make it anew";
	if (c->Discard != js_DiscardNew)
		return "its discard policy must be new (nats stream edit "
		    "--discard=new), or a full stream deletes the oldest";
	if (c->Duplicates < WINDOW_LEAST_NS)
		return "its duplicate window must be an hour or more (nats "
		    "stream edit --dupe-window=2h)";
	if (c->Sealed || c->NoAck)
		return "it must take messages and acknowledge them";
	return NULL;
}

static natsStatus
make_stream(struct nats_stream *st, jsStreamInfo **info)
{
	const char *subjects[] = { SUBJECTS };
	jsStreamConfig c;
	jsErrCode code;

	jsStreamConfig_Init(&c);
	c.Name = st->config.stream;
	c.Subjects = subjects;
	c.SubjectsLen = 1;
	c.Storage = js_FileStorage;
	c.Discard = js_DiscardNew;
	c.Duplicates = WINDOW_NEW_NS;
	c.Replicas = st->config.replicas;
	return js_AddStream(info, st->js, &c, NULL, &code);
}

enum nats_stream_state
nats_stream_look(struct nats_stream *st, struct sink *sink, char why[SINK_WHY])
{
	jsStreamInfo *info = NULL;
	const char *wrong = "make it, or let --create-stream do so";
	jsErrCode code = 0;
	natsStatus s;

	s = js_GetStreamInfo(&info, st->js, st->config.stream, NULL, &code);
	if (s == NATS_NOT_FOUND && st->config.create)
		s = make_stream(st, &info);
	/* As one says that takes all subjects, in JetStream's place. */
	if (s == NATS_OK && info->Config == NULL)
		s = NATS_PROTOCOL_ERROR;
	if (s == NATS_OK && (wrong = misfit(info->Config)) == NULL) {
		snprintf(sink->name, sizeof(sink->name), "nats:%.64s@%lld",
		    st->config.stream, (long long)info->Created);
		sink->last_seq = info->State.LastSeq;
		st->first_seq = info->State.FirstSeq;
		st->keeps = info->Config->Retention == js_LimitsPolicy &&
		    info->Config->MaxMsgsPerSubject <= 0;
	}
	jsStreamInfo_Destroy(info);
	if (s != NATS_OK && s != NATS_NOT_FOUND) {
		snprintf(why, SINK_WHY, "JetStream: %s", words(s));
		return NATS_STREAM_AWAY;
	}
	if (wrong == NULL)
		return NATS_STREAM_FITS;
	snprintf(why, SINK_WHY, "%sstream %.64s: %s", s == NATS_OK ? "" :
	    "there is no ", st->config.stream, wrong);
	return NATS_STREAM_UNFIT;
}

/* ---- the connection ---- */

enum nats_stream_link
nats_stream_link(struct nats_stream *st)
{
	if (st->connection == NULL)
		return NATS_LINK_NONE;
	switch (natsConnection_Status(st->connection)) {
	case NATS_CONN_STATUS_CONNECTED:
		return NATS_LINK_UP;
	case NATS_CONN_STATUS_CLOSED:
		return NATS_LINK_CLOSED;
	default:
		return NATS_LINK_LOST;
	}
}

uint64_t
nats_stream_reconnects(struct nats_stream *st)
{
	uint64_t unused, count = 0;

	if (natsConnection_GetStats(st->connection, st->statistics) ==
	    NATS_OK)
		(void)natsStatistics_GetCounts(st->statistics, &unused,
		    &unused, &unused, &unused, &count);
	return count;
}

void
nats_stream_closed_why(struct nats_stream *st, char why[SINK_WHY])
{
	const char *last = NULL;
	natsStatus s = natsConnection_GetLastError(st->connection, &last);

	snprintf(why, SINK_WHY, "the server has closed the connection: %s",
	    last != NULL && last[0] != '\0' ? last : natsStatus_GetText(s));
}

void
nats_stream_fail_rows(struct nats_stream *st, const char *why)
{
	const char *last;
	bool denied = st->connection != NULL && natsConnection_GetLastError(
	    st->connection, &last) == NATS_CONNECTION_AUTH_FAILED;

	jsCtx_Destroy(st->js);
	natsConnection_Destroy(st->connection);
	st->js = NULL;
	st->connection = NULL;
	nats_unacked_set_all_fates(st->waiting, denied ? FATE_MISCONFIGURED :
	    FATE_UNREACHABLE, why);
}

enum nats_stream_state
nats_stream_connect(struct nats_stream *st, char why[SINK_WHY])
{
	jsOptions o;
	natsStatus s = natsConnection_Connect(&st->connection, st->options);

	if (s != NATS_OK) {
		st->connection = NULL;
		snprintf(why, SINK_WHY, "cannot connect: %s", words(s));
		return s == NATS_INVALID_ARG || s == NATS_ADDRESS_MISSING ?
		    NATS_STREAM_UNFIT : NATS_STREAM_AWAY;
	}
	jsOptions_Init(&o);
	o.Wait = API_MS;
	/* Twice: the library never has to wait for room. */
	o.PublishAsync.MaxPending = (int64_t)st->config.window * 2;
	o.PublishAsync.AckHandler = on_ack;
	o.PublishAsync.AckHandlerClosure = st;
	s = natsConnection_JetStream(&st->js, st->connection, &o);
	if (s == NATS_OK)
		return NATS_STREAM_FITS;
	snprintf(why, SINK_WHY, "JetStream: %s", words(s));
	nats_stream_fail_rows(st, why);
	return NATS_STREAM_AWAY;
}

/* ---- messages ---- */

static natsStatus
publish(struct nats_stream *st, const struct row *r)
{
	struct text subject = { 0 };
	jsPubOptions o;
	natsMsg *msg = NULL;
	natsStatus s = NATS_NO_MEMORY;

	envelope_subject(&subject, text_view(&r->workspace_id));
	text_add(&subject, "", 1);
	if (subject.len > SUBJECT_MOST)
		s = NATS_INVALID_SUBJECT;
	else if (r->envelope.len > INT32_MAX)
		s = NATS_MAX_PAYLOAD;
	else if (!subject.broken)
		s = natsMsg_Create(&msg, subject.at, NULL, r->envelope.at,
		    (int)r->envelope.len);
	text_release(&subject);
	if (s != NATS_OK)
		return s;
	jsPubOptions_Init(&o);
	o.MsgId = r->event_id;
	o.ExpectStream = st->config.stream;
	o.MaxWait = 1000LL * (st->config.timeout_s < ACK_MOST_S ?
	    st->config.timeout_s : ACK_MOST_S);
	s = js_PublishMsgAsync(st->js, &msg, &o);
	natsMsg_Destroy(msg);
	return s;
}

void
nats_stream_send(struct nats_stream *st, const struct row *r)
{
	natsStatus s = publish(st, r);

	if (s != NATS_OK)
		nats_unacked_set_fate(st->waiting, r->event_id,
		    fate_of(s, 0, ""), 0, natsStatus_GetText(s));
}

int
nats_stream_holds(struct nats_stream *st, uint64_t last_seq, uint64_t seq,
    const char *event_id)
{
	const char *id = NULL;
	natsMsg *msg = NULL;
	jsErrCode code = 0;
	natsStatus s;
	int result;

	if (st->connection == NULL)
		return -1;
	s = js_GetMsg(&msg, st->js, st->config.stream, seq, NULL, &code);
	/* Read and gone, as work queues do, expired or purged: it was there.
	 * But a hole in a log is damage. */
	if (s == NATS_NOT_FOUND)
		return seq <= last_seq && (seq < st->first_seq ||
		    !st->keeps);
	if (s != NATS_OK)
		return -1;
	result = natsMsgHeader_Get(msg, "Nats-Msg-Id", &id) == NATS_OK &&
	    strcmp(id, event_id) == 0;
	natsMsg_Destroy(msg);
	return result;
}

/* ---- opening and closing ---- */

/* nats://A,nats://B: any of a cluster will do. */
static natsStatus
set_servers(struct nats_stream *st)
{
	char *list = strdup(st->config.url), *at = list;
	const char *servers[SERVERS_MOST];
	int count = 0;
	natsStatus s;

	while (at != NULL && count < SERVERS_MOST) {
		servers[count++] = at;
		while ((at = strchr(at, ',')) != NULL && strncmp(at,
		    ",nats://", 8) != 0 && strncmp(at, ",tls://", 7) != 0)
			at++;
		if (at != NULL)
			*at++ = '\0';
	}
	s = count == 0 ? NATS_NO_MEMORY :
	    natsOptions_SetServers(st->options, servers, count);
	free(list);
	return s;
}

static natsStatus
set_secrets(struct nats_stream *st)
{
	const struct nats_sink_config *c = &st->config;
	natsStatus s = NATS_OK;

	if (c->credentials != NULL)
		s = natsOptions_SetUserCredentialsFromFiles(st->options,
		    c->credentials, NULL);
	if (s == NATS_OK && c->user != NULL)
		s = natsOptions_SetUserInfo(st->options, c->user, c->password);
	if (s == NATS_OK && c->ca != NULL)
		s = natsOptions_LoadCATrustedCertificates(st->options, c->ca);
	/* The library takes tls:// for a word without a meaning. */
	if (s == NATS_OK && (c->ca != NULL || strstr(c->url, "tls://") !=
	    NULL))
		s = natsOptions_SetSecure(st->options, true);
	return s;
}

static natsStatus
set_options(struct nats_stream *st)
{
	natsOptions *o;
	natsStatus s = natsOptions_Create(&st->options);

	if (s == NATS_OK)
		s = natsStatistics_Create(&st->statistics);
	if (s != NATS_OK || (s = set_servers(st)) != NATS_OK)
		return s;
	o = st->options;
	/* These fail for values that make no sense alone. */
	(void)natsOptions_SetName(o, "sentry-deliver");
	(void)natsOptions_SetTimeout(o, CONNECT_MS);
	(void)natsOptions_SetMaxReconnect(o, -1);
	(void)natsOptions_SetReconnectWait(o, RECONNECT_MS);
	/* What cannot leave at once comes back to us. */
	(void)natsOptions_SetReconnectBufSize(o, 1);
	(void)natsOptions_SetFailRequestsOnDisconnect(o, true);
	(void)natsOptions_SetPingInterval(o, PING_MS);
	(void)natsOptions_SetWriteDeadline(o, WRITE_MS);
	(void)natsOptions_SetErrorHandler(o, on_error, st);
	return set_secrets(st);
}

bool
nats_stream_close(struct nats_stream *st)
{
	natsStatus s;

	nats_stream_fail_rows(st, "the end");
	natsStatistics_Destroy(st->statistics);
	natsOptions_Destroy(st->options);
	/* No handler runs any more once the library's threads have ended. */
	s = nats_CloseAndWait(CLOSE_MS);
	if (s != NATS_OK && s != NATS_NOT_INITIALIZED)
		return false;
	free(st);
	return true;
}

struct nats_stream *
nats_stream_open(const struct nats_sink_config *config,
    struct nats_unacked *waiting, char why[SINK_WHY])
{
	struct nats_stream *st = calloc(1, sizeof(*st));
	natsStatus s;

	if (st == NULL) {
		snprintf(why, SINK_WHY, "out of memory");
		return NULL;
	}
	st->config = *config;
	st->waiting = waiting;
	if ((s = set_options(st)) == NATS_OK)
		return st;
	snprintf(why, SINK_WHY, "%s", words(s));
	(void)nats_stream_close(st);
	return NULL;
}
