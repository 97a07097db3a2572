#include "server/plain_cgi.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"

static struct span
plain_cgi_param(void *arg, const char *name)
{
	(void)arg;
	return span_of(getenv(name));
}

static size_t
plain_cgi_read_body(void *arg, char *buf, size_t n)
{
	ssize_t got = file_read(STDIN_FILENO, buf, n);

	(void)arg;
	return got < 0 ? 0 : (size_t)got;
}

int
plain_cgi_serve(const struct handler *h)
{
	struct request q = { plain_cgi_param, plain_cgi_read_body, NULL };
	struct reply reply = { 0 };
	struct text t = { 0 };
	int rc;

	h->answer(h->arg, &q, &reply, 1);
	cgi_write_reply(&t, &reply);
	rc = !t.broken && !reply.body.broken &&
	    file_write(STDOUT_FILENO, text_view(&t)) ? 0 : -1;
	text_release(&t);
	text_release(&reply.body);
	return rc;
}
