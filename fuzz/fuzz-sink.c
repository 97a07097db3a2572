/* An event API that answers with any bytes: status line, headers (Retry-After)
 * and body. Every row comes back once, with a fate that fits the answer, and
 * its reason never holds the key. */
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz.h"
#include "sink/http_sink.h"
#include "sink/retry.h"

#define KEY		"k3y-Of-The-Sink"
#define ROWS		3
#define TRIES		50	/* of 200 ms */

static int		listener;	/* for as long as the program runs */
static struct text	response;
static pthread_mutex_t	lock = PTHREAD_MUTEX_INITIALIZER; /* guards response */
static struct sink	*sink;
static char		url[80];

/* ---- the event API ---- */

/* Whether all bytes of a request have come. */
static bool
is_complete(const char *s, size_t len)
{
	static const char length[] = "Content-Length: ";
	const char *end = memmem(s, len, "\r\n\r\n", 4);
	const char *at = memmem(s, len, length, strlen(length));

	return end != NULL && at != NULL && at < end &&
	    (size_t)(s + len - end - 4) >=
	    strtoul(at + strlen(length), NULL, 10);
}

static void
serve_request(int fd)
{
	char buf[16384] = "";
	size_t len = 0;
	ssize_t n = 1;
	struct text answer = { 0 };
	struct span s;

	while (n > 0 && !is_complete(buf, len) && len < sizeof(buf) - 1) {
		n = recv(fd, buf + len, sizeof(buf) - 1 - len, 0);
		len += n > 0 ? (size_t)n : 0;
		buf[len] = '\0';
	}
	pthread_mutex_lock(&lock);
	text_span(&answer, text_view(&response));
	pthread_mutex_unlock(&lock);
	s = text_view(&answer);
	while (n > 0 && s.len > 0) {
		n = send(fd, s.at, s.len, MSG_NOSIGNAL);
		s.at += n > 0 ? n : 0;
		s.len -= n > 0 ? (size_t)n : 0;
	}
	(void)shutdown(fd, SHUT_WR);
	/* Closing earlier would reset the connection, and the client might lose
	 * the answer. */
	while (recv(fd, buf, sizeof(buf), 0) > 0)
		;
	close(fd);
	text_release(&answer);
}

static void *
run_api(void *arg)
{
	int fd;

	(void)arg;
	while ((fd = accept(listener, NULL, NULL)) >= 0 || errno == EINTR ||
	    errno == ECONNABORTED)
		if (fd >= 0)
			serve_request(fd);
	fuzz_fail("accept() goes on", __FILE__, __LINE__);
}

static void
start_api(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);
	pthread_t thread;

	signal(SIGPIPE, SIG_IGN);
	listener = socket(AF_INET, SOCK_STREAM, 0);
	claim(listener >= 0);
	claim(bind(listener, (struct sockaddr *)&at, sizeof(at)) == 0);
	claim(listen(listener, 64) == 0);
	claim(getsockname(listener, (struct sockaddr *)&at, &len) == 0);
	claim(pthread_create(&thread, NULL, run_api, NULL) == 0);
	snprintf(url, sizeof(url), "http://127.0.0.1:%u/e/" KEY,
	    ntohs(at.sin_port));
}

static void
close_sink(void)
{
	sink->ops->close(sink);
}

static void
open_sink(void)
{
	struct http_sink_config config = { .url = url, .timeout_s = 5,
	    .requests = 1, .events = ROWS, .bytes = 4096, .alone_after = 2 };
	char why[SINK_WHY];

	start_api();
	claim((sink = http_sink_open(&config, why)) != NULL);
	claim(strstr(sink->name, KEY) == NULL);
	atexit(close_sink);
}

/* ---- rows ---- */

static struct row *
make_rows(void)
{
	struct row *list = NULL;

	for (int i = 0; i < ROWS; i++) {
		struct row *r = row_new();

		claim(r != NULL);
		r->id = i;
		r->next = list;
		r->fate = FATE_ACKED;	/* what no HTTP sink says */
		text_str(&r->envelope, "{\"id\":\"e\"}");
		list = r;
	}
	return list;
}

static void
check_row(const struct row *r, bool success)
{
	uint32_t jitter = (uint32_t)r->after_ms * 2654435761u;
	int64_t wait = retry_wait(1 + jitter % 30, jitter, r->after_ms);

	claim(r->fate != FATE_ACKED && r->fate != FATE_UNREACHABLE);
	claim(r->fate != FATE_DELIVERED || success);
	claim(r->after_ms >= 0 && r->after_ms <= RETRY_MOST_MS);
	claim(wait >= r->after_ms && wait <= RETRY_MOST_MS);
	claim(memchr(r->why, '\0', sizeof(r->why)) != NULL);
	claim(strstr(r->why, KEY) == NULL);
	claim(r->fate == FATE_DELIVERED || r->why[0] != '\0');
	for (const char *at = r->why; *at != '\0'; at++)
		claim(*at >= ' ' && *at <= '~');
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned seen = 0, tries = 0;
	bool success;

	if (sink == NULL)
		open_sink();
	pthread_mutex_lock(&lock);
	response.len = 0;
	text_add(&response, (const char *)data, size);
	pthread_mutex_unlock(&lock);
	/* No 2 in it, no status 2xx. */
	success = size > 0 && memchr(data, '2', size) != NULL;
	claim(sink->ops->room(sink) == ROWS);
	sink->ops->give(sink, make_rows());
	while (seen != (1u << ROWS) - 1) {
		struct row *list = sink->ops->wait(sink, 200);

		claim(++tries < TRIES);
		for (struct row *r = list; r != NULL; r = r->next) {
			claim((seen & 1u << r->id) == 0);
			seen |= 1u << r->id;
			check_row(r, success);
		}
		row_free_all(list);
	}
	claim(sink->error[0] == '\0');
	return 0;
}
