#include "plain.h"

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

int
plain_serve(struct service *service)
{
	struct request q = { param, read_body, NULL };
	struct reply reply;
	struct text t = { 0 };
	size_t sent = 0;
	int rc;

	answer(service, &q, &reply);
	reply_write(&t, &reply);
	while (!t.broken && sent < t.len) {
		ssize_t n = write(STDOUT_FILENO, t.at + sent, t.len - sent);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		sent += (size_t)n;
	}
	rc = t.broken || sent < t.len ? -1 : 0;
	text_release(&t);
	text_release(&reply.body);
	return rc;
}
