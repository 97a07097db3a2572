#include "sink.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <nats/nats.h>

#include "envelope.h"

#define SUBJECTS	"sentry.observation.>"
#define WINDOW_LEAST_NS	(3600ll * 1000000000)	/* of the stream's duplicates */
#define WINDOW_NEW_NS	(7200ll * 1000000000)	/* of one that we make */
#define BUCKETS		1024
#define API_MS		3000	/* a question to JetStream */
/* libnats remembers each publish for as long as its acknowledgement may take,
 * also when that has come: 90 bytes at 50,000/s. And to send again is cheap. */
#define ACK_MOST_S	5
#define RETRY_MS	1000	/* between attempts to connect */
#define GRACE_MS	5000	/* of a lost connection before it is trouble */
#define RECONNECT_MS	500

/* A stream of NATS JetStream. */
struct sink_nats {
	struct sink		 sink;		/* first */
	struct sink_nats_config	 config;
	natsOptions		*options;
	natsConnection		*connection;	/* NULL: not yet */
	jsCtx			*js;
	int64_t			 try_at, lost_at;	/* ms, monotonic */
	bool			 checked;	/* the stream fits */
	unsigned		 count;		/* rows that we have */

	pthread_mutex_t		 lock;		/* guards what is below */
	pthread_cond_t		 some;
	struct row		*bucket[BUCKETS];	/* by event id */
	struct row		*judged;
};

static int64_t
monotonic_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int
trouble(struct sink_nats *n, const char *what, const char *why)
{
	snprintf(n->sink.trouble, sizeof(n->sink.trouble), "%s%s%s", what,
	    why[0] == '\0' ? "" : ": ", why);
	return -1;
}

/* ---- rows that wait for their acknowledgement ---- */

static struct row **
bucket_of(struct sink_nats *n, const char *event_id)
{
	uint32_t hash = 2166136261u;	/* FNV-1a */

	for (; *event_id != '\0'; event_id++)
		hash = (hash ^ (unsigned char)*event_id) * 16777619u;
	return &n->bucket[hash % BUCKETS];
}

static void
remember(struct sink_nats *n, struct row *r)
{
	struct row **bucket = bucket_of(n, r->event_id);

	pthread_mutex_lock(&n->lock);
	r->next = *bucket;
	*bucket = r;
	pthread_mutex_unlock(&n->lock);
}

/* Takes the row out and sets its verdict. An answer for a row that is no
 * longer there comes too late: it has been judged. */
static void
settle(struct sink_nats *n, const char *event_id, enum fate fate,
    uint64_t seq, const char *why)
{
	struct row **p, *r;

	pthread_mutex_lock(&n->lock);
	for (p = bucket_of(n, event_id); *p != NULL; p = &(*p)->next)
		if (strcmp((*p)->event_id, event_id) == 0)
			break;
	if ((r = *p) != NULL) {
		*p = r->next;
		row_judge(r, fate, span_of(why));
		r->seq = seq;
		r->next = n->judged;
		n->judged = r;
		pthread_cond_signal(&n->some);
	}
	pthread_mutex_unlock(&n->lock);
}

/* What an error means. Nobody there, or another stream than ours: the row is
 * not to blame. */
static enum fate
fate_of(natsStatus status, jsErrCode code)
{
	if (status == NATS_NO_RESPONDERS ||
	    code == JSStreamNotMatchErr || code == JSStreamNotFoundErr ||
	    code == JSClusterNotAvailErr)
		return FATE_MISCONFIGURED;
	if (status == NATS_MAX_PAYLOAD ||
	    code == JSStreamMessageExceedsMaximumErr)
		return FATE_REFUSED;
	return FATE_LATER;
}

/* On a thread of the library. */
static void
on_ack(jsCtx *js, natsMsg *msg, jsPubAck *ack, jsPubAckErr *error, void *arg)
{
	const char *id = NULL, *why;

	(void)js;
	if (natsMsgHeader_Get(msg, "Nats-Msg-Id", &id) == NATS_OK) {
		if (ack != NULL) {
			settle(arg, id, FATE_ACKED, ack->Sequence, "");
		} else {
			why = error->ErrText != NULL ? error->ErrText :
			    natsStatus_GetText(error->Err);
			settle(arg, id, fate_of(error->Err, error->ErrCode),
			    0, why);
		}
	}
	natsMsg_Destroy(msg);
}

/* ---- the stream ---- */

static const char *
misfit(const jsStreamConfig *c)
{
	bool covered = false;

	for (int i = 0; i < c->SubjectsLen; i++)
		covered |= strcmp(c->Subjects[i], SUBJECTS) == 0 ||
		    strcmp(c->Subjects[i], "sentry.>") == 0 ||
		    strcmp(c->Subjects[i], ">") == 0;
	if (!covered)
		return "its subjects must hold " SUBJECTS;
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
make_stream(struct sink_nats *n, jsStreamInfo **info)
{
	const char *subjects[] = { SUBJECTS };
	jsStreamConfig c;
	jsErrCode code;

	jsStreamConfig_Init(&c);
	c.Name = n->config.stream;
	c.Subjects = subjects;
	c.SubjectsLen = 1;
	c.Storage = js_FileStorage;
	c.Discard = js_DiscardNew;
	c.Duplicates = WINDOW_NEW_NS;
	c.Replicas = n->config.replicas;
	return js_AddStream(info, n->js, &c, NULL, &code);
}

/* 0, or -1 with the trouble. */
static int
take_stream(struct sink_nats *n, const jsStreamInfo *info)
{
	const char *why = misfit(info->Config);
	char what[96];

	if (why != NULL) {
		n->checked = false;
		snprintf(what, sizeof(what), "stream %.64s",
		    n->config.stream);
		return trouble(n, what, why);
	}
	snprintf(n->sink.name, sizeof(n->sink.name), "nats:%.64s@%lld",
	    n->config.stream, (long long)info->Created);
	n->sink.last_seq = info->State.LastSeq;
	n->sink.trouble[0] = '\0';
	n->checked = true;
	return 0;
}

static int
look(struct sink_nats *n)
{
	jsStreamInfo *info = NULL;
	jsErrCode code = 0;
	natsStatus status;
	int result;

	if (n->connection == NULL)
		return -1;
	status = js_GetStreamInfo(&info, n->js, n->config.stream, NULL, &code);
	if (status == NATS_NOT_FOUND && n->config.create)
		status = make_stream(n, &info);
	if (status == NATS_OK) {
		result = take_stream(n, info);
		jsStreamInfo_Destroy(info);
		return result;
	}
	if (status == NATS_NOT_FOUND) {
		n->checked = false;
		return trouble(n, "there is no stream of this name",
		    "make it, or let --create-stream do so");
	}
	if (!n->checked)
		return trouble(n, "JetStream", natsStatus_GetText(status));
	return -1;
}

/* ---- the connection ---- */

static int
connect_now(struct sink_nats *n)
{
	jsOptions o;
	natsStatus s = natsConnection_Connect(&n->connection, n->options);

	if (s != NATS_OK) {
		n->connection = NULL;
		return trouble(n, "cannot connect", natsStatus_GetText(s));
	}
	jsOptions_Init(&o);
	o.Wait = API_MS;
	o.PublishAsync.MaxPending = (int64_t)n->config.window * 2;
	o.PublishAsync.AckHandler = on_ack;
	o.PublishAsync.AckHandlerClosure = n;
	if ((s = natsConnection_JetStream(&n->js, n->connection, &o)) !=
	    NATS_OK) {
		natsConnection_Destroy(n->connection);
		n->connection = NULL;
		return trouble(n, "JetStream", natsStatus_GetText(s));
	}
	n->sink.trouble[0] = '\0';
	return look(n);
}

/* Whether rows can leave now. A connection that is lost for a moment is the
 * library's to mend. */
static bool
is_there(struct sink_nats *n)
{
	int64_t now = monotonic_ms();

	if (n->connection == NULL || !n->checked) {
		if (now < n->try_at)
			return false;
		n->try_at = now + RETRY_MS;
		(void)(n->connection == NULL ? connect_now(n) : look(n));
		return n->checked;
	}
	if (natsConnection_Status(n->connection) ==
	    NATS_CONN_STATUS_CONNECTED) {
		if (n->lost_at != 0)
			n->sink.trouble[0] = '\0';
		n->lost_at = 0;
		return true;
	}
	if (n->lost_at == 0)
		n->lost_at = now;
	else if (now - n->lost_at > GRACE_MS)
		(void)trouble(n, "the connection is lost", "");
	return false;
}

/* ---- the interface ---- */

static unsigned
nats_room(struct sink *sink)
{
	struct sink_nats *n = (struct sink_nats *)sink;

	if (!is_there(n))
		return 0;
	return n->count < n->config.window ? n->config.window - n->count : 0;
}

static natsStatus
publish(struct sink_nats *n, const struct row *r)
{
	struct text subject = { 0 };
	jsPubOptions o;
	natsMsg *msg = NULL;
	natsStatus s = NATS_NO_MEMORY;

	envelope_subject(&subject, text_view(&r->workspace_id));
	text_add(&subject, "", 1);
	if (!subject.broken && r->envelope.len <= INT32_MAX)
		s = natsMsg_Create(&msg, subject.at, NULL, r->envelope.at,
		    (int)r->envelope.len);
	text_release(&subject);
	if (s != NATS_OK)
		return s;
	jsPubOptions_Init(&o);
	o.MsgId = r->event_id;
	o.ExpectStream = n->config.stream;
	o.MaxWait = 1000ll * (n->config.timeout_s < ACK_MOST_S ?
	    n->config.timeout_s : ACK_MOST_S);
	s = js_PublishMsgAsync(n->js, &msg, &o);
	natsMsg_Destroy(msg);
	return s;
}

static void
nats_give(struct sink *sink, struct row *r)
{
	struct sink_nats *n = (struct sink_nats *)sink;
	struct row *next;
	natsStatus s;

	for (; r != NULL; r = next) {
		char event_id[ROW_EVENT_ID];

		next = r->next;
		n->count++;
		/* Once it is published the row may be judged at any time. */
		memcpy(event_id, r->event_id, sizeof(event_id));
		remember(n, r);
		if ((s = publish(n, r)) != NATS_OK)
			settle(n, event_id, fate_of(s, 0), 0,
			    natsStatus_GetText(s));
	}
}

static struct row *
nats_wait(struct sink *sink, int ms)
{
	struct sink_nats *n = (struct sink_nats *)sink;
	struct timespec until;
	struct row *judged, *r;
	int rc = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += ms % 1000 * 1000000l;
	until.tv_sec += ms / 1000 + until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&n->lock);
	while (n->judged == NULL && rc == 0)
		rc = pthread_cond_timedwait(&n->some, &n->lock, &until);
	judged = n->judged;
	n->judged = NULL;
	pthread_mutex_unlock(&n->lock);
	for (r = judged; r != NULL; r = r->next)
		n->count--;
	return judged;
}

static int
nats_look(struct sink *sink)
{
	return look((struct sink_nats *)sink);
}

static int
nats_holds(struct sink *sink, uint64_t seq, const char *event_id)
{
	struct sink_nats *n = (struct sink_nats *)sink;
	const char *id = NULL;
	natsMsg *msg = NULL;
	jsErrCode code = 0;
	natsStatus s;
	int result;

	if (n->connection == NULL)
		return -1;
	s = js_GetMsg(&msg, n->js, n->config.stream, seq, NULL, &code);
	/* Read and gone, as work queues do, or expired: it was there. */
	if (s == NATS_NOT_FOUND)
		return seq <= sink->last_seq;
	if (s != NATS_OK)
		return -1;
	result = natsMsgHeader_Get(msg, "Nats-Msg-Id", &id) == NATS_OK &&
	    strcmp(id, event_id) == 0;
	natsMsg_Destroy(msg);
	return result;
}

static void
nats_close(struct sink *sink)
{
	struct sink_nats *n = (struct sink_nats *)sink;

	/* No handler runs any more once the library's threads have ended. */
	jsCtx_Destroy(n->js);
	natsConnection_Destroy(n->connection);
	natsOptions_Destroy(n->options);
	nats_CloseAndWait(0);
	for (int i = 0; i < BUCKETS; i++)
		row_free_all(n->bucket[i]);
	row_free_all(n->judged);
	pthread_cond_destroy(&n->some);
	pthread_mutex_destroy(&n->lock);
	free(n);
}

static const struct sink_ops nats_ops = {
	.room = nats_room,
	.give = nats_give,
	.wait = nats_wait,
	.close = nats_close,
	.look = nats_look,
	.holds = nats_holds,
};

/* ---- opening ---- */

static natsStatus
set_options(struct sink_nats *n)
{
	const struct sink_nats_config *c = &n->config;
	natsStatus s = natsOptions_Create(&n->options);

	if (s == NATS_OK)
		s = natsOptions_SetURL(n->options, c->url);
	if (s == NATS_OK)
		s = natsOptions_SetName(n->options, "sentry-deliver");
	if (s == NATS_OK)
		s = natsOptions_SetMaxReconnect(n->options, -1);
	if (s == NATS_OK)
		s = natsOptions_SetReconnectWait(n->options, RECONNECT_MS);
	if (s == NATS_OK && c->credentials != NULL)
		s = natsOptions_SetUserCredentialsFromFiles(n->options,
		    c->credentials, NULL);
	if (s == NATS_OK && c->user != NULL)
		s = natsOptions_SetUserInfo(n->options, c->user, c->password);
	if (s == NATS_OK && c->ca != NULL)
		s = natsOptions_LoadCATrustedCertificates(n->options, c->ca);
	if (s == NATS_OK && c->ca != NULL)
		s = natsOptions_SetSecure(n->options, true);
	return s;
}

struct sink *
sink_nats_open(const struct sink_nats_config *config, char why[SINK_WHY])
{
	struct sink_nats *n = calloc(1, sizeof(*n));
	natsStatus s;

	if (n == NULL) {
		snprintf(why, SINK_WHY, "out of memory");
		return NULL;
	}
	n->sink.ops = &nats_ops;
	n->config = *config;
	snprintf(n->sink.name, sizeof(n->sink.name), "nats:%.64s",
	    config->stream);
	pthread_mutex_init(&n->lock, NULL);
	pthread_cond_init(&n->some, NULL);
	if ((s = set_options(n)) != NATS_OK) {
		snprintf(why, SINK_WHY, "%s", natsStatus_GetText(s));
		nats_close(&n->sink);
		return NULL;
	}
	/* A server that is away may come; a stream that does not fit must be
	 * changed by somebody. */
	if (connect_now(n) != 0 && n->connection != NULL) {
		snprintf(why, SINK_WHY, "%s", n->sink.trouble);
		nats_close(&n->sink);
		return NULL;
	}
	return &n->sink;
}
