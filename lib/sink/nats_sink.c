/* Rows to a stream of NATS JetStream, up to `window` of them unacknowledged.
 *  1. can_send() connects, and inspects the stream, whenever that is needed.
 *  2. nats_sink_give() publishes each row (nats_stream_send()).
 *  3. Its acknowledgement comes on a thread of libnats, and becomes the row's
 *     fate (nats_unacked.h): FATE_ACKED, with the sequence in the stream.
 *  4. nats_sink_wait() returns the row.
 *  5. Later the deliverer asks whether the stream still has the row
 *     (nats_sink_inspect(), nats_sink_holds()): an acknowledgement means that
 *     the servers have a message in memory; they write it to disk later. */
#include "sink/nats_sink.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "sink/nats_stream.h"

#define TRY_AGAIN_MS	1000	/* between attempts to connect or inspect */
#define TOLERATED_MS	5000	/* of an error that may pass by itself */

/* Times are in ms, monotonic. */
struct sink_nats {
	struct sink		 sink;		/* first */
	struct nats_stream	*stream;
	unsigned		 window;
	unsigned		 count;		/* rows without an answer */
	int64_t			 try_at;	/* to connect or inspect */
	int64_t			 lost_since;	/* the connection; 0: not */
	int64_t			 silent_since;	/* JetStream; 0: not */
	uint64_t		 reconnects;	/* when last seen */
	bool			 fits;		/* the stream */
	/* The deliverer has inspected the stream since the connection came up.
	 * No row leaves before: its acknowledgement would raise last_seq, and
	 * so hide that the stream has lost its end. */
	bool			 inspected;
	unsigned		 generation;	/* of the stream: how often it
						 * was created anew so far */
	struct nats_unacked	 unacked;
};

/* Whether an error lasts longer than a new leader or a short break of the
 * network takes. *since is when it began, or 0. */
static bool
lasts_long(int64_t *since)
{
	int64_t now = clock_ms();

	if (*since == 0)
		*since = now;
	return now - *since > TOLERATED_MS;
}

/* ---- the connection and the stream ---- */

static void
set_error(struct sink_nats *n, const char *why)
{
	snprintf(n->sink.error, sizeof(n->sink.error), "%s", why);
}

static enum nats_stream_state
inspect_stream(struct sink_nats *n)
{
	char before[SINK_NAME], why[SINK_WHY];
	enum nats_stream_state state;

	memcpy(before, n->sink.name, sizeof(before));
	state = nats_stream_inspect(n->stream, &n->sink, why);
	n->generation += strcmp(before, n->sink.name) != 0;
	if (state == NATS_STREAM_FITS) {
		n->fits = true;
		n->silent_since = 0;
		set_error(n, "");
	} else if (state == NATS_STREAM_UNFIT || !n->fits ||
	    lasts_long(&n->silent_since)) {
		n->fits = false;
		set_error(n, why);
	}
	return state;
}

static enum nats_stream_state
connect_stream(struct sink_nats *n)
{
	char why[SINK_WHY];
	enum nats_stream_state state = nats_stream_connect(n->stream, why);

	if (state != NATS_STREAM_FITS) {
		set_error(n, why);
		return state;
	}
	n->reconnects = nats_stream_reconnects(n->stream);
	return inspect_stream(n);
}

/* The library reconnects by itself, but not if the server has closed the
 * connection with an error: the password is no longer good, say. */
static void
disconnect_closed(struct sink_nats *n)
{
	nats_stream_closed_why(n->stream, n->sink.error);
	nats_stream_disconnect(n->stream, n->sink.error);
	n->fits = n->inspected = false;
	n->lost_since = n->silent_since = 0;
	n->try_at = clock_ms() + TRY_AGAIN_MS;
}

static void
note_link_up(struct sink_nats *n)
{
	uint64_t reconnects = nats_stream_reconnects(n->stream);

	if (n->lost_since != 0 && n->fits)
		set_error(n, "");
	n->lost_since = 0;
	n->inspected &= reconnects == n->reconnects;
	n->reconnects = reconnects;
}

/* Whether rows can leave now; connects or inspects if they cannot. */
static bool
can_send(struct sink_nats *n)
{
	enum nats_stream_link link = nats_stream_link(n->stream);

	if (link == NATS_LINK_UP)
		note_link_up(n);
	else if (link == NATS_LINK_CLOSED)
		disconnect_closed(n);
	else if (link == NATS_LINK_LOST && lasts_long(&n->lost_since))
		set_error(n, "the connection is lost");
	if ((link == NATS_LINK_UP ? !n->fits : link == NATS_LINK_NONE) &&
	    clock_ms() >= n->try_at) {
		(void)(link == NATS_LINK_UP ? inspect_stream(n) :
		    connect_stream(n));
		n->try_at = clock_ms() + TRY_AGAIN_MS;
	}
	return link == NATS_LINK_UP && n->fits && n->inspected;
}

/* ---- the interface ---- */

static unsigned
nats_sink_room(struct sink *sink)
{
	struct sink_nats *n = (struct sink_nats *)sink;

	if (!can_send(n))
		return 0;
	return n->count < n->window ? n->window - n->count : 0;
}

static void
nats_sink_give(struct sink *sink, struct row *r)
{
	struct sink_nats *n = (struct sink_nats *)sink;
	struct row *next;

	for (; r != NULL; r = next) {
		next = r->next;
		n->count++;
		r->generation = n->generation;
		/* The row may get its fate from now on, but it is not freed
		 * before wait() has returned it. */
		nats_unacked_add(&n->unacked, r);
		nats_stream_send(n->stream, r);
	}
}

static struct row *
nats_sink_wait(struct sink *sink, int ms)
{
	struct sink_nats *n = (struct sink_nats *)sink;
	struct row *done = nats_unacked_take(&n->unacked, ms);

	for (struct row *r = done; r != NULL; r = r->next) {
		n->count--;
		/* It is not known whether the old or the new stream has
		 * acknowledged it. */
		if (r->fate == FATE_ACKED && r->generation != n->generation)
			row_set_fate(r, FATE_MISCONFIGURED,
			    span_of("the stream was made anew meanwhile"));
	}
	return done;
}

static int
nats_sink_inspect(struct sink *sink)
{
	struct sink_nats *n = (struct sink_nats *)sink;

	/* If not, can_send() inspects it, or connects. */
	if (!n->fits || nats_stream_link(n->stream) != NATS_LINK_UP ||
	    inspect_stream(n) != NATS_STREAM_FITS)
		return -1;
	n->inspected = true;
	return 0;
}

static int
nats_sink_holds(struct sink *sink, uint64_t seq, const char *event_id)
{
	return nats_stream_holds(((struct sink_nats *)sink)->stream,
	    sink->last_seq, seq, event_id);
}

static void
nats_sink_close(struct sink *sink)
{
	struct sink_nats *n = (struct sink_nats *)sink;

	if (n->stream != NULL && !nats_stream_close(n->stream))
		return;
	nats_unacked_release(&n->unacked);
	free(n);
}

static const struct sink_ops nats_sink_ops = {
	.room = nats_sink_room,
	.give = nats_sink_give,
	.wait = nats_sink_wait,
	.close = nats_sink_close,
	.inspect = nats_sink_inspect,
	.holds = nats_sink_holds,
};

struct sink *
nats_sink_open(const struct nats_sink_config *config, char why[SINK_WHY])
{
	struct sink_nats *n = calloc(1, sizeof(*n));

	if (n == NULL || !nats_unacked_start(&n->unacked)) {
		free(n);
		snprintf(why, SINK_WHY, "out of memory");
		return NULL;
	}
	n->sink.ops = &nats_sink_ops;
	n->window = config->window;
	snprintf(n->sink.name, sizeof(n->sink.name), "nats:%.64s",
	    config->stream);
	n->stream = nats_stream_open(config, &n->unacked, why);
	if (n->stream != NULL && connect_stream(n) == NATS_STREAM_UNFIT)
		snprintf(why, SINK_WHY, "%s", n->sink.error);
	else if (n->stream != NULL)
		return &n->sink;
	nats_sink_close(&n->sink);
	return NULL;
}
