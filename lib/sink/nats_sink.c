#include "sink/sink.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "sink/nats_stream.h"

#define RETRY_MS	1000	/* between attempts to connect */
#define GRACE_MS	5000	/* of silence before it is trouble */

/* Rows to a stream of NATS JetStream, in a window. */
struct sink_nats {
	struct sink	 sink;		/* first */
	struct nats_stream	*stream;
	unsigned	 window;
	unsigned	 count;		/* rows that we have */
	int64_t		 try_at;	/* ms, monotonic, as below */
	int64_t		 lost_at, mute_at;	/* 0: all is well */
	uint64_t	 reconnects;	/* when last looked at */
	bool		 fits;		/* the stream */
	/* look() has told the keeper how the stream is. No row leaves before:
	 * it would hide that the stream has gone back. */
	bool		 told;
	unsigned	 creation;	/* the stream's, as counted */
	struct nats_unacked	 waiting;
};

/* Some troubles pass in a moment: a new leader, a lost connection. */
static bool
is_grave(int64_t *since)
{
	int64_t now = clock_ms();

	if (*since == 0)
		*since = now;
	return now - *since > GRACE_MS;
}

/* ---- is it there? ---- */

static enum nats_stream_state
look(struct sink_nats *n)
{
	char before[SINK_NAME], why[SINK_WHY];
	enum nats_stream_state state;

	memcpy(before, n->sink.name, sizeof(before));
	state = nats_stream_look(n->stream, &n->sink, why);
	n->creation += strcmp(before, n->sink.name) != 0;
	if (state == NATS_STREAM_FITS) {
		n->fits = true;
		n->mute_at = 0;
		n->sink.trouble[0] = '\0';
	} else if (state == NATS_STREAM_UNFIT || !n->fits ||
	    is_grave(&n->mute_at)) {
		n->fits = false;
		snprintf(n->sink.trouble, sizeof(n->sink.trouble), "%s",
		    why);
	}
	return state;
}

static enum nats_stream_state
connect_now(struct sink_nats *n)
{
	char why[SINK_WHY];
	enum nats_stream_state state = nats_stream_connect(n->stream, why);

	if (state != NATS_STREAM_FITS) {
		snprintf(n->sink.trouble, sizeof(n->sink.trouble), "%s",
		    why);
		return state;
	}
	n->reconnects = nats_stream_reconnects(n->stream);
	return look(n);
}

/* The library mends what is lost, but not what the server has ended with an
 * error: a password that is no longer good, a line that is too long. */
static void
start_over(struct sink_nats *n)
{
	nats_stream_closed_why(n->stream, n->sink.trouble);
	nats_stream_fail_rows(n->stream, n->sink.trouble);
	n->fits = n->told = false;
	n->lost_at = n->mute_at = 0;
	n->try_at = clock_ms() + RETRY_MS;
}

static void
note_up(struct sink_nats *n)
{
	uint64_t reconnects = nats_stream_reconnects(n->stream);

	if (n->lost_at != 0 && n->fits)
		n->sink.trouble[0] = '\0';
	n->lost_at = 0;
	n->told &= reconnects == n->reconnects;
	n->reconnects = reconnects;
}

/* Whether rows can leave now. */
static bool
is_there(struct sink_nats *n)
{
	enum nats_stream_link link = nats_stream_link(n->stream);

	if (link == NATS_LINK_UP)
		note_up(n);
	else if (link == NATS_LINK_CLOSED)
		start_over(n);
	else if (link == NATS_LINK_LOST && is_grave(&n->lost_at))
		snprintf(n->sink.trouble, sizeof(n->sink.trouble),
		    "the connection is lost");
	if ((link == NATS_LINK_UP ? !n->fits : link == NATS_LINK_NONE) &&
	    clock_ms() >= n->try_at) {
		(void)(link == NATS_LINK_UP ? look(n) : connect_now(n));
		n->try_at = clock_ms() + RETRY_MS;
	}
	return link == NATS_LINK_UP && n->fits && n->told;
}

/* ---- the interface ---- */

static unsigned
nats_room(struct sink *sink)
{
	struct sink_nats *n = (struct sink_nats *)sink;

	if (!is_there(n))
		return 0;
	return n->count < n->window ? n->window - n->count : 0;
}

static void
nats_give(struct sink *sink, struct row *r)
{
	struct sink_nats *n = (struct sink_nats *)sink;
	struct row *next;

	for (; r != NULL; r = next) {
		next = r->next;
		n->count++;
		r->mark = n->creation;
		/* Its verdict may come from now on; it stays until wait(). */
		nats_unacked_add(&n->waiting, r);
		nats_stream_send(n->stream, r);
	}
}

static struct row *
nats_wait(struct sink *sink, int ms)
{
	struct sink_nats *n = (struct sink_nats *)sink;
	struct row *judged = nats_unacked_take(&n->waiting, ms);

	for (struct row *r = judged; r != NULL; r = r->next) {
		n->count--;
		/* Nobody knows which of the two has acknowledged it. */
		if (r->fate == FATE_ACKED && r->mark != n->creation)
			row_set_fate(r, FATE_MISCONFIGURED,
			    span_of("the stream "
				    "was made anew meanwhile"));
	}
	return judged;
}

static int
nats_look(struct sink *sink)
{
	struct sink_nats *n = (struct sink_nats *)sink;

	/* Otherwise is_there() sees to it. */
	if (!n->fits || nats_stream_link(n->stream) != NATS_LINK_UP ||
	    look(n) != NATS_STREAM_FITS)
		return -1;
	n->told = true;
	return 0;
}

static int
nats_holds(struct sink *sink, uint64_t seq, const char *event_id)
{
	return nats_stream_holds(((struct sink_nats *)sink)->stream,
	    sink->last_seq, seq, event_id);
}

static void
nats_close(struct sink *sink)
{
	struct sink_nats *n = (struct sink_nats *)sink;

	if (n->stream != NULL && !nats_stream_close(n->stream))
		return;
	nats_unacked_release(&n->waiting);
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

struct sink *
nats_sink_open(const struct nats_sink_config *config, char why[SINK_WHY])
{
	struct sink_nats *n = calloc(1, sizeof(*n));

	if (n == NULL || !nats_unacked_start(&n->waiting)) {
		free(n);
		snprintf(why, SINK_WHY, "out of memory");
		return NULL;
	}
	n->sink.ops = &nats_ops;
	n->window = config->window;
	snprintf(n->sink.name, sizeof(n->sink.name), "nats:%.64s",
	    config->stream);
	n->stream = nats_stream_open(config, &n->waiting, why);
	/* A server that is away may come; a stream that does not fit must be
	 * changed by somebody. */
	if (n->stream != NULL && connect_now(n) == NATS_STREAM_UNFIT)
		snprintf(why, SINK_WHY, "%s", n->sink.trouble);
	else if (n->stream != NULL)
		return &n->sink;
	nats_close(&n->sink);
	return NULL;
}
