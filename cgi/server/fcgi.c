#include "server/fcgi.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <fcgiapp.h>

/*
 * A request on a connection that is ready to be read:
 *
 * 1. fcgi_peek(): the kernel copies out what came, and leaves it there.
 *    fcgi_pass_management() drops a record that concerns no request, and
 *    fcgi_check_head() finds out whether libfcgi may read what follows.
 * 2. fcgi_read_head(): libfcgi reads the records BEGIN_REQUEST and PARAMS.
 * 3. fcgi_request(): the handler asks for variables (fcgi_param()) and reads
 *    the body (fcgi_read_body()).
 * 4. fcgi_reply(): fcgi_drain_body(), then the reply goes out.
 */

/* FastCGI 1.0, section 8; libfcgi has names for these, but in a header that
 * defines more than names. */
#define FCGI_VERSION	1
#define BEGIN_REQUEST	1
#define PARAMS		4
#define STDIN		5
#define RESPONDER	1
#define RECORD_HEADER	8
#define BEGIN_CONTENT	8

#define PEEK_BYTES	32768	/* most requests are shorter than that */
/* A head in small records with much padding is longer than its content. */
#define PEEK_BYTES_MAX	((size_t)FCGI_HEAD_MAX * 2)
#define MANAGEMENT_MOST	16	/* records of that kind before a request */
#define PEEK_FIRST_NS	500000	/* from one look at a head in pieces to the */
#define PEEK_MOST_NS	64000000	/* next; doubled each time up to this */
#define DRAIN_MAX	134217728	/* bytes of a body that nobody wants */

/* fcgi_open() sets these two members, though in fcgiapp.h they stand below
 * "Don't use anything below here". They have stood there since 2003. */
static_assert(offsetof(FCGX_Request, ipcFd) ==
    offsetof(FCGX_Request, paramsPtr) + sizeof(void *) &&
    offsetof(FCGX_Request, keepConnection) ==
    offsetof(FCGX_Request, ipcFd) + 2 * sizeof(int),
    "this libfcgi is laid out in another way");

struct fcgi {
	FCGX_Request	request;
	int		fd;
};

int
fcgi_start(void)
{
	return FCGX_Init() == 0 ? 0 : -1;
}

struct fcgi *
fcgi_open(int fd)
{
	const struct timeval wait = { .tv_sec = FCGI_PEER_MS / 1000,
	    .tv_usec = FCGI_PEER_MS % 1000 * 1000L };
	struct fcgi *c = calloc(1, sizeof(*c));

	if (c == NULL || FCGX_InitRequest(&c->request, -1,
	    FCGI_FAIL_ACCEPT_ON_INTR) != 0) {
		free(c);
		close(fd);
		return NULL;
	}
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	c->fd = c->request.ipcFd = fd;
	/* Else the first accept would close it. */
	c->request.keepConnection = 1;
	/* No waiting for the peer when it is closed. */
	FCGX_Detach(&c->request);
	return c;
}

void
fcgi_close(struct fcgi *c)
{
	FCGX_Free(&c->request, 1);
	free(c);
}

int
fcgi_fd(const struct fcgi *c)
{
	return c->fd;
}

/* ---- what stands at the front ---- */

/* Takes the length of a name or value off the front (FastCGI 1.0, 3.4). */
static bool
fcgi_pair_length(struct span *s, size_t *n)
{
	const unsigned char *p = (const unsigned char *)s->at;
	size_t bytes = s->len > 0 && p[0] >= 0x80 ? 4 : 1;

	if (s->len < bytes)
		return false;
	*n = bytes == 1 ? p[0] : (size_t)(p[0] & 0x7f) << 24 |
	    (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
	*s = span_behind(*s, bytes);
	return true;
}

/* Whether all the bytes are there that these pairs of name and value claim. */
static bool
fcgi_pairs_are_whole(struct span s)
{
	size_t name, value;

	while (s.len > 0) {
		if (!fcgi_pair_length(&s, &name) ||
		    !fcgi_pair_length(&s, &value) ||
		    name > s.len || value > s.len - name)
			return false;
		s = span_behind(s, name + value);
	}
	return true;
}

static size_t
fcgi_content_length(const unsigned char *record)
{
	return (size_t)record[4] << 8 | record[5];
}

/* Whether the records from p + at to p + n hold the body up to its end. libfcgi
 * skips records of other requests, and then waits for the body's own. */
static bool
fcgi_body_is_whole(const unsigned char *p, size_t at, size_t n)
{
	const unsigned char stdin_of_ours[] = { FCGI_VERSION, STDIN, p[2],
	    p[3] };

	while (at + RECORD_HEADER <= n && memcmp(p + at, stdin_of_ours,
	    sizeof(stdin_of_ours)) == 0) {
		if (fcgi_content_length(p + at) == 0)
			return true;
		at += RECORD_HEADER + fcgi_content_length(p + at) + p[at + 6];
	}
	return false;
}

/* Checks the n bytes at p, the first of the connection, and moves them about.
 * FCGI_NOTHING: so far they are a request's beginning. */
static enum fcgi_front
fcgi_check_head(unsigned char *p, size_t n)
{
	size_t first = RECORD_HEADER + BEGIN_CONTENT, params = 0, at, content;

	if (n < first)
		return FCGI_NOTHING;
	/* libfcgi takes padding of this record for the next record. */
	if (p[1] != BEGIN_REQUEST || fcgi_content_length(p) != BEGIN_CONTENT ||
	    p[6] != 0 || p[8] != 0 || p[9] != RESPONDER)
		return FCGI_END;
	for (at = first; at + RECORD_HEADER <= n; ) {
		unsigned char *r = p + at;

		content = fcgi_content_length(r);
		if (r[0] != FCGI_VERSION || r[1] != PARAMS || r[2] != p[2] ||
		    r[3] != p[3] || params + content > FCGI_HEAD_MAX)
			return FCGI_END;
		if (content == 0 && !fcgi_pairs_are_whole((struct span){
		    (const char *)p + first, params }))
			return FCGI_END;
		/* libfcgi takes padding of this record, too, for the next. */
		if (content == 0)
			return fcgi_body_is_whole(p, at + RECORD_HEADER, n) ?
			    FCGI_WHOLE_REQUEST : FCGI_REQUEST;
		at += RECORD_HEADER + content + r[6];
		if (at > n)
			break;
		/* The contents are put one behind the other, in place of the
		 * records that were checked. */
		memmove(p + first + params, r + RECORD_HEADER, content);
		params += content;
	}
	return FCGI_NOTHING;
}

/* A management record is one with the request id 0. It is read and dropped
 * once all of it is there: nginx sends none, and nothing depends on them. */
static enum fcgi_front
fcgi_pass_management(const struct fcgi *c, unsigned char *p, size_t n,
    bool *passed)
{
	size_t whole = RECORD_HEADER + fcgi_content_length(p) + p[6];

	*passed = n >= whole &&
	    recv(c->fd, p, whole, MSG_DONTWAIT) == (ssize_t)whole;
	return FCGI_NOTHING;
}

/* Copies up to `most` bytes of the front to p; *n: how many there are. */
static enum fcgi_front
fcgi_peek_into(const struct fcgi *c, unsigned char *p, size_t most, size_t *n,
    bool *passed)
{
	ssize_t rc = recv(c->fd, p, most, MSG_PEEK | MSG_DONTWAIT);

	*passed = false;
	*n = rc > 0 ? (size_t)rc : 0;
	if (rc <= 0)
		return rc < 0 && (errno == EAGAIN || errno == EINTR) ?
		    FCGI_NOTHING : FCGI_END;
	if (p[0] != FCGI_VERSION)
		return FCGI_END;
	if (*n >= RECORD_HEADER && (p[2] | p[3]) == 0)
		return fcgi_pass_management(c, p, *n, passed);
	return fcgi_check_head(p, *n);
}

/* The same with a small buffer, or a large one if that is too small. */
static enum fcgi_front
fcgi_peek_once(const struct fcgi *c, size_t *n, bool *passed)
{
	unsigned char front[PEEK_BYTES], *all;
	enum fcgi_front f = fcgi_peek_into(c, front, sizeof(front), n, passed);

	if (f != FCGI_NOTHING || *n < sizeof(front))
		return f;
	if ((all = malloc(PEEK_BYTES_MAX)) == NULL)
		return FCGI_END;
	f = fcgi_peek_into(c, all, PEEK_BYTES_MAX, n, passed);
	free(all);
	return *n == PEEK_BYTES_MAX && f == FCGI_NOTHING ? FCGI_END : f;
}

static bool
fcgi_peer_is_gone(const struct fcgi *c)
{
	struct pollfd p = { .fd = c->fd, .events = POLLRDHUP };

	return poll(&p, 1, 0) != 0;
}

enum fcgi_front
fcgi_peek(struct fcgi *c, bool wait)
{
	long step = PEEK_FIRST_NS, waited = 0;
	bool passed;
	size_t n;

	for (int records = 0; records < MANAGEMENT_MOST; records += passed) {
		enum fcgi_front f = fcgi_peek_once(c, &n, &passed);

		if (f != FCGI_NOTHING || n == 0)
			return f;
		if (passed)
			continue;
		if (!wait)
			return FCGI_INCOMPLETE;
		if (waited >= FCGI_PEER_MS * 1000000L || fcgi_peer_is_gone(c))
			break;
		nanosleep(&(struct timespec){ .tv_nsec = step }, NULL);
		waited += step;
		step = step < PEEK_MOST_NS ? step * 2 : step;
	}
	return FCGI_END;
}

/* ---- the request ---- */

bool
fcgi_read_head(struct fcgi *c)
{
	return FCGX_Accept_r(&c->request) == 0;
}

static struct span
fcgi_param(void *arg, const char *name)
{
	const struct fcgi *c = arg;

	return span_of(FCGX_GetParam(name, c->request.envp));
}

static size_t
fcgi_read_body(void *arg, char *buf, size_t n)
{
	struct fcgi *c = arg;
	size_t got = 0;
	int rc = 1;

	while (got < n && rc > 0) {
		size_t part = n - got < INT_MAX ? n - got : INT_MAX;

		rc = FCGX_GetStr(buf + got, (int)part, c->request.in);
		got += rc > 0 ? (size_t)rc : 0;
	}
	return got;
}

struct request
fcgi_request(struct fcgi *c)
{
	return (struct request){ fcgi_param, fcgi_read_body, c };
}

/* ---- the reply ---- */

/* Reads and drops the rest of the body. True when it has come to its end. */
static bool
fcgi_drain_body(struct fcgi *c)
{
	char rest[PEEK_BYTES];
	size_t all = 0, n;

	while ((n = fcgi_read_body(c, rest, sizeof(rest))) > 0 &&
	    (all += n) < DRAIN_MAX)
		;
	return FCGX_HasSeenEOF(c->request.in) != 0 &&
	    FCGX_GetError(c->request.in) == 0;
}

bool
fcgi_reply(struct fcgi *c, const struct reply *reply)
{
	struct text t = { 0 };
	bool ended = fcgi_drain_body(c), kept;

	cgi_write_reply(&t, reply);
	if (!ended || t.broken || reply->body.broken)
		c->request.keepConnection = 0;
	if (!t.broken && !reply->body.broken)
		(void)FCGX_PutStr(t.at, (int)t.len, c->request.out);
	text_release(&t);
	kept = c->request.keepConnection != 0;
	FCGX_Finish_r(&c->request);
	return kept && c->request.ipcFd >= 0;
}
