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

/* FastCGI 1.0, section 8; libfcgi has names for these, but in a header that
 * defines more than names. */
#define FCGI_VERSION	1
#define BEGIN_REQUEST	1
#define PARAMS		4
#define STDIN		5
#define RESPONDER	1
#define RECORD_HEADER	8
#define BEGIN_CONTENT	8

#define FRONT_BYTES	32768	/* mostly the request is shorter than that */
#define MOST_BYTES	((size_t)FCGI_HEAD_MAX * 2)	/* headers, padding */
#define MANAGEMENT_MOST	16	/* records of that kind before a request */
#define LOOK_FIRST_NS	500000	/* between looks at a head in pieces, */
#define LOOK_MOST_NS	64000000	/* longer each time */
#define REST_MAX	134217728	/* bytes of a body that nobody wants */

/* What is set by hand stands below "Don't use anything below here", and has
 * stood there since 2003. */
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

/* ---- the front ---- */

static bool
length_of(struct span *s, size_t *n)
{
	const unsigned char *p = (const unsigned char *)s->at;
	size_t bytes = s->len > 0 && p[0] >= 0x80 ? 4 : 1;

	if (s->len < bytes)
		return false;
	*n = bytes == 1 ? p[0] : (size_t)(p[0] & 0x7f) << 24 |
	    (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
	s->at += bytes;
	s->len -= bytes;
	return true;
}

/* Whether all that these pairs claim is there. */
static bool
pairs_are_whole(struct span s)
{
	size_t name, value;

	while (s.len > 0) {
		if (!length_of(&s, &name) || !length_of(&s, &value) ||
		    name > s.len || value > s.len - name)
			return false;
		s.at += name + value;
		s.len -= name + value;
	}
	return true;
}

static size_t
content_of(const unsigned char *record)
{
	return (size_t)record[4] << 8 | record[5];
}

/* Whether of the n bytes those from `at` on have all of its body. */
static bool
body_is_whole(const unsigned char *p, size_t at, size_t n)
{
	while (at + RECORD_HEADER <= n && p[at + 1] == STDIN) {
		if (content_of(p + at) == 0)
			return true;
		at += RECORD_HEADER + content_of(p + at) + p[at + 6];
	}
	return false;
}

/* Of the first n bytes, which it moves about. FCGI_NOTHING: so far it is the
 * beginning of a request. */
static enum fcgi_front
judge(unsigned char *p, size_t n)
{
	size_t first = RECORD_HEADER + BEGIN_CONTENT, params = 0, at, content;

	if (n < first)
		return FCGI_NOTHING;
	if (p[1] != BEGIN_REQUEST || content_of(p) != BEGIN_CONTENT ||
	    p[8] != 0 || p[9] != RESPONDER)
		return FCGI_OVER;
	for (at = first + p[6]; at + RECORD_HEADER <= n; ) {
		unsigned char *r = p + at;

		content = content_of(r);
		if (r[0] != FCGI_VERSION || r[1] != PARAMS || r[2] != p[2] ||
		    r[3] != p[3] || params + content > FCGI_HEAD_MAX)
			return FCGI_OVER;
		if (content == 0 && !pairs_are_whole((struct span){
		    (const char *)p + first, params }))
			return FCGI_OVER;
		if (content == 0)
			return body_is_whole(p, at + RECORD_HEADER + r[6],
			    n) ? FCGI_WHOLE_REQUEST : FCGI_REQUEST;
		at += RECORD_HEADER + content + r[6];
		if (at > n)
			break;
		/* One behind the other, over what was looked at. */
		memmove(p + first + params, r + RECORD_HEADER, content);
		params += content;
	}
	return FCGI_NOTHING;
}

/* A management record concerns no request: it is passed over, once all of it
 * is there. */
static enum fcgi_front
pass_over(const struct fcgi *c, unsigned char *p, size_t n, bool *passed)
{
	size_t whole = RECORD_HEADER + content_of(p) + p[6];

	*passed = n >= whole &&
	    recv(c->fd, p, whole, MSG_DONTWAIT) == (ssize_t)whole;
	return FCGI_NOTHING;
}

/* *n: how many bytes there are, of which p takes up to `most`. */
static enum fcgi_front
look_once(const struct fcgi *c, unsigned char *p, size_t most, size_t *n,
    bool *passed)
{
	ssize_t rc = recv(c->fd, p, most, MSG_PEEK | MSG_DONTWAIT);

	*passed = false;
	*n = rc > 0 ? (size_t)rc : 0;
	if (rc <= 0)
		return rc < 0 && (errno == EAGAIN || errno == EINTR) ?
		    FCGI_NOTHING : FCGI_OVER;
	if (p[0] != FCGI_VERSION)
		return FCGI_OVER;
	if (*n >= RECORD_HEADER && (p[2] | p[3]) == 0)
		return pass_over(c, p, *n, passed);
	return judge(p, *n);
}

/* The same with as many bytes as it takes. */
static enum fcgi_front
look_well(const struct fcgi *c, size_t *n, bool *passed)
{
	unsigned char front[FRONT_BYTES], *all;
	enum fcgi_front f = look_once(c, front, sizeof(front), n, passed);

	if (f != FCGI_NOTHING || *n < sizeof(front))
		return f;
	if ((all = malloc(MOST_BYTES)) == NULL)
		return FCGI_OVER;
	f = look_once(c, all, MOST_BYTES, n, passed);
	free(all);
	return *n == MOST_BYTES && f == FCGI_NOTHING ? FCGI_OVER : f;
}

static bool
peer_is_gone(const struct fcgi *c)
{
	struct pollfd p = { .fd = c->fd, .events = POLLRDHUP };

	return poll(&p, 1, 0) != 0;
}

enum fcgi_front
fcgi_look(struct fcgi *c, bool wait)
{
	long step = LOOK_FIRST_NS, waited = 0;
	bool passed;
	size_t n;

	for (int records = 0; records < MANAGEMENT_MOST; records += passed) {
		enum fcgi_front f = look_well(c, &n, &passed);

		if (f != FCGI_NOTHING || n == 0)
			return f;
		if (passed)
			continue;
		if (!wait)
			return FCGI_BEGUN;
		if (waited >= FCGI_PEER_MS * 1000000L || peer_is_gone(c))
			break;
		nanosleep(&(struct timespec){ .tv_nsec = step }, NULL);
		waited += step;
		step = step < LOOK_MOST_NS ? step * 2 : step;
	}
	return FCGI_OVER;
}

/* ---- the request ---- */

bool
fcgi_next(struct fcgi *c)
{
	return FCGX_Accept_r(&c->request) == 0;
}

static struct span
param(void *arg, const char *name)
{
	const struct fcgi *c = arg;

	return span_of(FCGX_GetParam(name, c->request.envp));
}

static size_t
read_body(void *arg, char *buf, size_t n)
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
	return (struct request){ param, read_body, c };
}

/* ---- the reply ---- */

/* True when the body has come to its end. */
static bool
take_rest(struct fcgi *c)
{
	char rest[FRONT_BYTES];
	size_t all = 0, n;

	while ((n = read_body(c, rest, sizeof(rest))) > 0 &&
	    (all += n) < REST_MAX)
		;
	return FCGX_HasSeenEOF(c->request.in) != 0 &&
	    FCGX_GetError(c->request.in) == 0;
}

bool
fcgi_reply(struct fcgi *c, const struct reply *reply)
{
	struct text t = { 0 };
	bool ended = take_rest(c), kept;

	exchange_write_reply(&t, reply);
	if (!ended || t.broken || reply->body.broken)
		c->request.keepConnection = 0;
	if (!t.broken && !reply->body.broken)
		(void)FCGX_PutStr(t.at, (int)t.len, c->request.out);
	text_release(&t);
	kept = c->request.keepConnection != 0;
	FCGX_Finish_r(&c->request);
	return kept && c->request.ipcFd >= 0;
}
