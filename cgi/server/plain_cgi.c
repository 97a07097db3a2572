#include "server/plain_cgi.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static struct span
param(void *arg, const char *name)
{
	(void)arg;
	return span_of(getenv(name));
}

static size_t
read_body(void *arg, char *buf, size_t n)
{
	size_t got = 0;
	ssize_t rc;

	(void)arg;
	while (got < n) {
		rc = read(STDIN_FILENO, buf + got, n - got);
		if (rc < 0 && errno == EINTR)
			continue;
		if (rc <= 0)
			break;
		got += (size_t)rc;
	}
	return got;
}

static int
write_all(struct span s)
{
	while (s.len > 0) {
		ssize_t n = write(STDOUT_FILENO, s.at, s.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		s.at += n;
		s.len -= (size_t)n;
	}
	return 0;
}

int
plain_cgi_serve(const struct handler *h)
{
	struct request q = { param, read_body, NULL };
	struct reply reply = { 0 };
	struct text t = { 0 };
	int rc;

	h->answer(h->arg, &q, &reply, 1);
	exchange_write_reply(&t, &reply);
	rc = t.broken || reply.body.broken ? -1 : write_all(text_view(&t));
	text_release(&t);
	text_release(&reply.body);
	return rc;
}
