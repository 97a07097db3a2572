/* Any bytes on the socket: the worker closes the connection in the end, and all
 * that it has sent are whole replies. */
#include <stdlib.h>

#include "fuzz.h"
#include "worker.h"

/* libfcgi does not free the names of a management record that it answers: 48
 * bytes, for records that nginx does not send. Its leaks are not ours. */
const char *__lsan_default_suppressions(void);

const char *
__lsan_default_suppressions(void)
{
	return "leak:libfcgi.so\n";
}

/* The reply has a status, and a body as long as it says (none, for HEAD). */
static void
check_reply(struct span reply)
{
	static const char length[] = "\r\nContent-Length: ";
	const char *end, *at;
	size_t body;

	claim(reply.len > 12 && memcmp(reply.at, "Status: ", 8) == 0);
	end = memmem(reply.at, reply.len, "\r\n\r\n", 4);
	at = memmem(reply.at, reply.len, length, strlen(length));
	claim(end != NULL && at != NULL && at < end);
	body = reply.len - (size_t)(end + 4 - reply.at);
	claim(body == 0 || body == strtoul(at + strlen(length), NULL, 10));
}

/* A GET_VALUES record behind the head of a request gets to libfcgi, which it
 * may end: SECURITY.md says who can send one, and what that costs. */
static bool
has_values_inside(const uint8_t *data, size_t size)
{
	static const char record[] = { 1, 9, 0, 0 };	/* version, type, id */

	return size > sizeof(record) && memmem(data + 1, size - 1, record,
	    sizeof(record)) != NULL;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct text replies = { 0 }, reply = { 0 };
	struct span rest;

	if (has_values_inside(data, size))
		return 0;
	worker_serve(&replies, (struct span){ (const char *)data, size });
	rest = text_view(&replies);
	while (worker_reply(&rest, &reply)) {
		/* Nothing but END_REQUEST: for a role that is not ours. */
		if (reply.len > 0)
			check_reply(text_view(&reply));
		text_release(&reply);
	}
	text_release(&replies);
	return 0;
}
