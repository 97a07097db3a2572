#include "sink/nats_stream.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <nats/nats.h>

#include "base/clock.h"
#include "sink/nats_options.h"
#include "sink/nats_subject.h"

#define SUBJECT_BYTES	1024	/* the server takes a line of 4 KiB */
#define DUPLICATES_LEAST_NS	(3600ll * 1000000000)
#define DUPLICATES_NEW_NS	(7200ll * 1000000000)	/* of a new stream */
#define JETSTREAM_MS	2000	/* for an answer to a request */
/* libnats keeps 90 bytes for each message until this time is over, even when
 * the acknowledgement has come: at 50,000/s that is much. The sink sends a row
 * again when the time is over, which costs little. */
#define ACK_MOST_S	5
#define LIBRARY_END_MS	3000	/* for the library's threads to end */

struct nats_stream {
	struct nats_sink_config	 config;
	natsOptions		*options;
	natsStatistics		*statistics;
	natsConnection		*connection;	/* NULL: not connected */
	jsCtx			*js;
	uint64_t		 first_seq;
	bool			 keeps_all;	/* but what is purged or expires
						 * at its beginning */
	struct nats_unacked	*unacked;
	/* ms, monotonic; set by the library's threads: when the server last
	 * refused a message, and when it last took one. */
	atomic_int_least64_t	 denied_at, acked_at;
};

/* The library's message for the last error of this thread where it says more
 * than the status. For these two it holds no address and no secret. */
static const char *
error_text(natsStatus s)
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

/* The fate of a row whose message failed. With no server, no room, or another
 * stream than ours, that is not the row's fault. */
static enum fate
fate_of_error(natsStatus status, jsErrCode code, const char *why)
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
	/* The stream has a limit per subject, and one workspace has reached it;
	 * others may have room. */
	return strstr(why, "per subject") != NULL ? FATE_LATER :
	    FATE_MISCONFIGURED;
}

/* A message that we may not publish gets no acknowledgement: the server drops
 * it, and reports an error that belongs to no message. */
static bool
is_denied(struct nats_stream *st)
{
	return atomic_load(&st->denied_at) > atomic_load(&st->acked_at);
}

/* The library calls this on a thread of its own, once for each message. A
 * duplicate at place 0 is not held: the leader of a cluster notes the id before
 * the message is stored, and if it leads no more it may never be stored
 * (nats-server before 2.11; its pull request 6486). */
static void
on_ack(jsCtx *js, natsMsg *msg, jsPubAck *ack, jsPubAckErr *error, void *arg)
{
	struct nats_stream *st = arg;
	const char *id = NULL, *why = "";
	enum fate fate = FATE_ACKED;

	(void)js;
	if (ack != NULL) {
		atomic_store(&st->acked_at, clock_ms());
		if (ack->Sequence == 0) {
			fate = FATE_LATER;
			why = "taken for a duplicate of a message that the "
			    "stream does not hold";
		}
	} else {
		why = error->ErrText != NULL ? error->ErrText :
		    natsStatus_GetText(error->Err);
		fate = fate_of_error(error->Err, error->ErrCode, why);
		if (fate == FATE_UNREACHABLE && is_denied(st)) {
			fate = FATE_MISCONFIGURED;
			why = "publishing to " NATS_SUBJECT_ALL " is not "
			    "permitted";
		}
	}
	if (natsMsgHeader_Get(msg, "Nats-Msg-Id", &id) == NATS_OK)
		nats_unacked_set_fate(st->unacked, id, fate,
		    ack != NULL ? ack->Sequence : 0, why);
	natsMsg_Destroy(msg);
}

/* Likewise, for errors that belong to no call. */
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

/* Why rows must not be published to a stream of this configuration: it could
 * lose them, or not take them. NULL if they can. */
static const char *
why_unfit(const jsStreamConfig *c)
{
	bool covered = false;

	for (int i = 0; i < c->SubjectsLen; i++) {
		if (nats_subject_takes_requests(c->Subjects[i]))
			return "its subjects must not hold those of JetStream "
			    "(as > and *.> do): it answers for it then";
		covered |= nats_subject_fits(c->Subjects[i]);
	}
	if (!covered)
		return "its subjects must hold " NATS_SUBJECT_ALL " (nats "
		    "stream edit --subjects)";
	if (c->Storage != js_FileStorage)
		return "its storage must be file, not memory: make it anew";
	if (c->Discard != js_DiscardNew)
		return "its discard policy must be new (nats stream edit "
		    "--discard=new), or a full stream deletes the oldest";
	if (c->Duplicates < DUPLICATES_LEAST_NS)
		return "its duplicate window must be an hour or more (nats "
		    "stream edit --dupe-window=2h)";
	if (c->Sealed || c->NoAck)
		return "it must take messages and acknowledge them";
	return NULL;
}

static natsStatus
create_stream(struct nats_stream *st, jsStreamInfo **info)
{
	const char *subjects[] = { NATS_SUBJECT_ALL };
	jsStreamConfig c;
	jsErrCode code;

	jsStreamConfig_Init(&c);
	c.Name = st->config.stream;
	c.Subjects = subjects;
	c.SubjectsLen = 1;
	c.Storage = js_FileStorage;
	c.Discard = js_DiscardNew;
	c.Duplicates = DUPLICATES_NEW_NS;
	c.Replicas = st->config.replicas;
	return js_AddStream(info, st->js, &c, NULL, &code);
}

enum nats_stream_state
nats_stream_inspect(struct nats_stream *st, struct sink *sink,
    char why[SINK_WHY])
{
	jsStreamInfo *info = NULL;
	const char *wrong = "make it, or let --create-stream do so";
	jsErrCode code = 0;
	natsStatus s;

	s = js_GetStreamInfo(&info, st->js, st->config.stream, NULL, &code);
	if (s == NATS_NOT_FOUND && st->config.create)
		s = create_stream(st, &info);
	/* The answer of a stream that takes all subjects, in JetStream's place:
	 * nats_subject_takes_requests(). */
	if (s == NATS_OK && info->Config == NULL)
		s = NATS_PROTOCOL_ERROR;
	if (s == NATS_OK && (wrong = why_unfit(info->Config)) == NULL) {
		snprintf(sink->name, sizeof(sink->name), "nats:%.64s@%lld",
		    st->config.stream, (long long)info->Created);
		sink->last_seq = info->State.LastSeq;
		st->first_seq = info->State.FirstSeq;
		st->keeps_all = info->Config->Retention == js_LimitsPolicy &&
		    info->Config->MaxMsgsPerSubject <= 0;
	}
	jsStreamInfo_Destroy(info);
	if (s != NATS_OK && s != NATS_NOT_FOUND) {
		snprintf(why, SINK_WHY, "JetStream: %s", error_text(s));
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
nats_stream_disconnect(struct nats_stream *st, const char *why)
{
	const char *last;
	bool denied = st->connection != NULL && natsConnection_GetLastError(
	    st->connection, &last) == NATS_CONNECTION_AUTH_FAILED;

	jsCtx_Destroy(st->js);
	natsConnection_Destroy(st->connection);
	st->js = NULL;
	st->connection = NULL;
	nats_unacked_set_all_fates(st->unacked, denied ? FATE_MISCONFIGURED :
	    FATE_UNREACHABLE, why);
}

enum nats_stream_state
nats_stream_connect(struct nats_stream *st, char why[SINK_WHY])
{
	jsOptions o;
	natsStatus s = natsConnection_Connect(&st->connection, st->options);

	if (s != NATS_OK) {
		st->connection = NULL;
		snprintf(why, SINK_WHY, "cannot connect: %s", error_text(s));
		return s == NATS_INVALID_ARG || s == NATS_ADDRESS_MISSING ?
		    NATS_STREAM_UNFIT : NATS_STREAM_AWAY;
	}
	jsOptions_Init(&o);
	o.Wait = JETSTREAM_MS;
	/* Twice the window: the library never blocks a publish for room. */
	o.PublishAsync.MaxPending = (int64_t)st->config.window * 2;
	o.PublishAsync.AckHandler = on_ack;
	o.PublishAsync.AckHandlerClosure = st;
	s = natsConnection_JetStream(&st->js, st->connection, &o);
	if (s == NATS_OK)
		return NATS_STREAM_FITS;
	snprintf(why, SINK_WHY, "JetStream: %s", error_text(s));
	nats_stream_disconnect(st, why);
	return NATS_STREAM_AWAY;
}

/* ---- messages ---- */

static natsStatus
publish_row(struct nats_stream *st, const struct row *r)
{
	struct text subject = { 0 };
	jsPubOptions o;
	natsMsg *msg = NULL;
	natsStatus s = NATS_NO_MEMORY;

	nats_subject_write(&subject, text_view(&r->workspace_id));
	text_add(&subject, "", 1);
	if (subject.len > SUBJECT_BYTES)
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
	natsStatus s = publish_row(st, r);

	if (s != NATS_OK)
		nats_unacked_set_fate(st->unacked, r->event_id,
		    fate_of_error(s, 0, ""), 0, natsStatus_GetText(s));
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
	/* A message may be gone because a consumer of a work queue read it, or
	 * because it expired or was purged: the stream held it then. But in a
	 * stream that keeps all, a message that is missing behind the first one
	 * is lost. */
	if (s == NATS_NOT_FOUND)
		return seq <= last_seq && (seq < st->first_seq ||
		    !st->keeps_all);
	if (s != NATS_OK)
		return -1;
	result = natsMsgHeader_Get(msg, "Nats-Msg-Id", &id) == NATS_OK &&
	    strcmp(id, event_id) == 0;
	natsMsg_Destroy(msg);
	return result;
}

/* ---- opening and closing ---- */

bool
nats_stream_close(struct nats_stream *st)
{
	natsStatus s;

	nats_stream_disconnect(st, "the end");
	natsStatistics_Destroy(st->statistics);
	natsOptions_Destroy(st->options);
	/* The handlers use *st, until the library's threads have ended. */
	s = nats_CloseAndWait(LIBRARY_END_MS);
	if (s != NATS_OK && s != NATS_NOT_INITIALIZED)
		return false;
	free(st);
	return true;
}

struct nats_stream *
nats_stream_open(const struct nats_sink_config *config,
    struct nats_unacked *unacked, char why[SINK_WHY])
{
	struct nats_stream *st = calloc(1, sizeof(*st));
	natsStatus s;

	if (st == NULL) {
		snprintf(why, SINK_WHY, "out of memory");
		return NULL;
	}
	st->config = *config;
	st->unacked = unacked;
	s = nats_options_create(&st->options, config, on_error, st);
	if (s == NATS_OK)
		s = natsStatistics_Create(&st->statistics);
	if (s == NATS_OK)
		return st;
	snprintf(why, SINK_WHY, "%s", error_text(s));
	(void)nats_stream_close(st);
	return NULL;
}
