#include "fcgi.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* How long a peer may be silent in the middle of a request. nginx has the
 * whole body before it connects, and Sentry has hung up by then. */
#define PEER_MS		2000
#define BRIEF_MS	2	/* between connect() and the request, say */
#define REQUEST_MS	10000
#define BUFFER_SIZE	16384	/* bytes; a small hook with its headers */
#define CONTENT_MAX	65528	/* bytes of a record that we send; 8-aligned */
#define HEADER_LEN	8
#define LINGER_BYTES	(64l << 20)

/* Section 8 of the specification. */
enum {
	VERSION_1 = 1,
	TYPE_BEGIN = 1, TYPE_ABORT = 2, TYPE_END = 3, TYPE_PARAMS = 4,
	TYPE_STDIN = 5, TYPE_STDOUT = 6,
	ROLE_RESPONDER = 1,
	FLAG_KEEP = 1,
	STATUS_COMPLETE = 0, STATUS_UNKNOWN_ROLE = 3
};

struct header {
	unsigned	type, id, content, padding;
};

struct fcgi {
	int		 fd;
	void		(*waits)(void *arg, bool begins);
	void		*arg;
	int64_t		 deadline;	/* ms, monotonic: of this request */
	unsigned	 id;		/* the request's; 0 for none yet */
	unsigned	 role, flags;
	struct text	 params;
	/* Of the STDIN record that is being read: */
	size_t		 content, padding;
	bool		 ended;		/* its stream is over */
	size_t		 at, end;	/* what of buf is not consumed */
	unsigned char	 buf[BUFFER_SIZE];
};

int64_t
fcgi_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* ---- bytes ---- */

/* Whether the socket becomes ready in time. Only those who would block ask. */
static bool
is_ready(struct fcgi *c, short events)
{
	struct pollfd p = { .fd = c->fd, .events = events };
	int rc;

	if (errno != EAGAIN && errno != EINTR)
		return false;
	rc = poll(&p, 1, BRIEF_MS);
	if (rc <= 0) {
		c->waits(c->arg, true);
		do
			rc = poll(&p, 1, PEER_MS);
		while (rc < 0 && errno == EINTR);
		c->waits(c->arg, false);
	}
	return rc > 0;
}

/* Up to n bytes, straight from the socket; 0 when there are no more. */
static size_t
receive(struct fcgi *c, void *at, size_t n)
{
	ssize_t got;

	do {
		if (fcgi_now() > c->deadline)
			return 0;
		got = recv(c->fd, at, n, MSG_DONTWAIT);
	} while (got < 0 && is_ready(c, POLLIN));
	return got < 0 ? 0 : (size_t)got;
}

/* Makes n bytes stand in the buffer; n is far below its size. */
static bool
want(struct fcgi *c, size_t n)
{
	while (c->end - c->at < n) {
		size_t got;

		if (c->at > 0) {
			memmove(c->buf, c->buf + c->at, c->end - c->at);
			c->end -= c->at;
			c->at = 0;
		}
		got = receive(c, c->buf + c->end, sizeof(c->buf) - c->end);
		if (got == 0)
			return false;
		c->end += got;
	}
	return true;
}

/* Up to n bytes, from the buffer or, where it is empty and much is wanted,
 * past it. */
static size_t
take(struct fcgi *c, void *to, size_t n)
{
	size_t got = c->end - c->at;

	if (got == 0 && n >= sizeof(c->buf))
		return receive(c, to, n);
	if (got == 0 && !want(c, 1))
		return 0;
	got = c->end - c->at < n ? c->end - c->at : n;
	memcpy(to, c->buf + c->at, got);
	c->at += got;
	return got;
}

static bool
skip(struct fcgi *c, size_t n)
{
	unsigned char waste[1024];

	while (n > 0) {
		size_t got = take(c, waste, n < sizeof(waste) ? n :
		    sizeof(waste));

		if (got == 0)
			return false;
		n -= got;
	}
	return true;
}

static bool
next_header(struct fcgi *c, struct header *h)
{
	const unsigned char *p;

	if (!want(c, HEADER_LEN))
		return false;
	p = c->buf + c->at;
	c->at += HEADER_LEN;
	h->type = p[1];
	h->id = (unsigned)(p[2] << 8 | p[3]);
	h->content = (unsigned)(p[4] << 8 | p[5]);
	h->padding = p[6];
	return p[0] == VERSION_1;
}

/* ---- a request's head ---- */

static bool
begin(struct fcgi *c, const struct header *h)
{
	if (h->content < HEADER_LEN || !want(c, HEADER_LEN))
		return false;
	c->id = h->id;
	c->role = (unsigned)(c->buf[c->at] << 8 | c->buf[c->at + 1]);
	c->flags = c->buf[c->at + 2];
	return skip(c, h->content + h->padding);
}

static bool
add_params(struct fcgi *c, const struct header *h)
{
	size_t left = h->content;
	char buf[1024];

	if (c->params.len + left > FCGI_PARAMS_MAX)
		return false;
	while (left > 0) {
		size_t got = take(c, buf, left < sizeof(buf) ? left :
		    sizeof(buf));

		if (got == 0)
			return false;
		text_add(&c->params, buf, got);
		left -= got;
	}
	return skip(c, h->padding) && !c->params.broken;
}

/* Reads up to the end of the params. Records of other requests, and those
 * that manage the connection, are passed over. */
static bool
read_head(struct fcgi *c)
{
	struct header h;

	c->id = 0;
	c->params.len = 0;
	c->content = c->padding = 0;
	c->ended = false;
	c->deadline = fcgi_now() + REQUEST_MS;
	while (next_header(c, &h)) {
		bool ours = h.id != 0 && h.id == c->id;

		if (h.type == TYPE_BEGIN && h.id != 0 && c->id == 0) {
			if (!begin(c, &h))
				return false;
		} else if (h.type == TYPE_PARAMS && ours) {
			if (!add_params(c, &h))
				return false;
			if (h.content == 0)
				return true;
		} else if ((h.type == TYPE_ABORT && ours) ||
		    !skip(c, h.content + h.padding)) {
			return false;
		}
	}
	return false;
}

/* ---- params ---- */

/* A length of one byte, or of four with the first bit set. */
static bool
pair_length(struct span *s, size_t *n)
{
	const unsigned char *p = (const unsigned char *)s->at;
	size_t bytes;

	if (s->len == 0)
		return false;
	bytes = p[0] < 0x80 ? 1 : 4;
	if (s->len < bytes)
		return false;
	*n = bytes == 1 ? p[0] : (size_t)(p[0] & 0x7f) << 24 |
	    (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
	s->at += bytes;
	s->len -= bytes;
	return true;
}

static bool
next_pair(struct span *s, struct span *name, struct span *value)
{
	if (!pair_length(s, &name->len) || !pair_length(s, &value->len) ||
	    name->len > s->len || value->len > s->len - name->len)
		return false;
	name->at = s->at;
	value->at = s->at + name->len;
	s->at += name->len + value->len;
	s->len -= name->len + value->len;
	return true;
}

static bool
well_formed(struct span params)
{
	struct span name, value;

	while (params.len > 0)
		if (!next_pair(&params, &name, &value))
			return false;
	return true;
}

/* The first of that name, as a web server has it. */
static struct span
param(void *arg, const char *wanted)
{
	struct span params = text_view(&((struct fcgi *)arg)->params);
	struct span name, value;

	while (params.len > 0 && next_pair(&params, &name, &value))
		if (span_is(name, wanted))
			return value;
	return (struct span){ NULL, 0 };
}

/* ---- the body ---- */

/* Moves on to a STDIN record with something in it; false at the end. */
static bool
next_stdin(struct fcgi *c)
{
	struct header h;

	while (c->content == 0 && !c->ended) {
		if (!skip(c, c->padding) || !next_header(c, &h))
			return false;
		c->padding = 0;
		if (h.id != c->id || h.type > TYPE_STDIN) {
			if (!skip(c, h.content + h.padding))
				return false;
		} else if (h.type != TYPE_STDIN) {
			return false;	/* aborted, or out of order */
		} else {
			c->content = h.content;
			c->padding = h.padding;
			c->ended = h.content == 0;
		}
	}
	return !c->ended;
}

static size_t
read_body(void *arg, char *buf, size_t n)
{
	struct fcgi *c = arg;
	size_t done = 0, got;

	while (done < n && next_stdin(c)) {
		size_t ask = n - done < c->content ? n - done : c->content;

		if ((got = take(c, buf + done, ask)) == 0)
			break;
		c->content -= got;
		done += got;
	}
	return done;
}

/* ---- the reply ---- */

static void
put_header(struct text *t, unsigned type, unsigned id, size_t content)
{
	char h[HEADER_LEN] = { VERSION_1, (char)type, (char)(id >> 8),
	    (char)id, (char)(content >> 8), (char)content, 0, 0 };

	text_add(t, h, sizeof(h));
}

static void
put_end(struct text *t, unsigned id, unsigned status)
{
	char body[8] = { 0, 0, 0, 0, (char)status, 0, 0, 0 };

	put_header(t, TYPE_END, id, sizeof(body));
	text_add(t, body, sizeof(body));
}

static void
put_reply(struct text *t, unsigned id, struct span reply)
{
	while (reply.len > 0) {
		size_t n = reply.len < CONTENT_MAX ? reply.len : CONTENT_MAX;

		put_header(t, TYPE_STDOUT, id, n);
		text_add(t, reply.at, n);
		reply.at += n;
		reply.len -= n;
	}
	put_header(t, TYPE_STDOUT, id, 0);
	put_end(t, id, STATUS_COMPLETE);
}

static bool
send_all(struct fcgi *c, struct span s)
{
	while (s.len > 0) {
		ssize_t n = send(c->fd, s.at, s.len,
		    MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && is_ready(c, POLLOUT))
			continue;
		if (n <= 0)
			return false;
		s.at += n;
		s.len -= (size_t)n;
	}
	return true;
}

static void
refuse_role(struct fcgi *c)
{
	struct text t = { 0 };

	put_end(&t, c->id, STATUS_UNKNOWN_ROLE);
	if (!t.broken)
		(void)send_all(c, text_view(&t));
	text_release(&t);
}

/* Reads on to the end of STDIN where that has arrived already, as it has in
 * whatever nginx sends; else there is a rest to linger for. */
static void
finish_stdin(struct fcgi *c)
{
	while (!c->ended && c->content + c->padding + HEADER_LEN <=
	    c->end - c->at)
		if (!skip(c, c->content) || (c->content = 0, !next_stdin(c)))
			break;
}

/* ---- the connection ---- */

struct fcgi *
fcgi_open(int fd, void (*waits)(void *arg, bool begins), void *arg)
{
	struct fcgi *c = malloc(sizeof(*c));

	if (c == NULL) {
		close(fd);
		return NULL;
	}
	c->fd = fd;
	c->waits = waits;
	c->arg = arg;
	c->params = (struct text){ 0 };
	c->at = c->end = 0;
	c->ended = true;
	c->deadline = 0;
	return c;
}

void
fcgi_close(struct fcgi *c)
{
	long left = LINGER_BYTES;
	size_t got;

	if (!c->ended) {
		(void)shutdown(c->fd, SHUT_WR);
		while (left > 0 &&
		    (got = receive(c, c->buf, sizeof(c->buf))) > 0)
			left -= (long)got;
	}
	text_release(&c->params);
	close(c->fd);
	free(c);
}

int
fcgi_fd(const struct fcgi *c)
{
	return c->fd;
}

bool
fcgi_next(struct fcgi *c)
{
	if (!read_head(c) || !well_formed(text_view(&c->params))) {
		c->ended = true;	/* nobody waits for an answer */
		return false;
	}
	if (c->role == ROLE_RESPONDER)
		return true;
	refuse_role(c);
	c->ended = true;
	return false;
}

struct request
fcgi_request(struct fcgi *c)
{
	return (struct request){ param, read_body, c };
}

bool
fcgi_reply(struct fcgi *c, const struct reply *reply)
{
	struct text bytes = { 0 }, records = { 0 };
	bool sent;

	reply_write(&bytes, reply);
	put_reply(&records, c->id, text_view(&bytes));
	sent = !bytes.broken && !records.broken && !reply->body.broken &&
	    send_all(c, text_view(&records));
	text_release(&bytes);
	text_release(&records);
	if (!sent)
		c->ended = true;
	finish_stdin(c);
	return sent && c->ended && (c->flags & FLAG_KEEP);
}

bool
fcgi_has_more(const struct fcgi *c)
{
	return c->end > c->at;
}
