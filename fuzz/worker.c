#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "fuzz.h"
#include "hook/observe_list.h"
#include "server/threads.h"

/* After so many calls everything is made anew: the database and the spool would
 * fill the disk, which may be memory. */
#define CALLS_MAX	8192
#define RECORD_HEADER	8	/* bytes, of a FastCGI record */
#define THREADS		2
#define COMMIT_WAIT_MS	2000
/* For the next bytes of a reply. The server itself waits FCGI_PEER_MS for the
 * rest of a request. */
#define REPLY_WAIT_MS	8000

static char		folder[80], path[100], db[100], spool[100];
static struct service	service;
static struct handler	handler;
static struct listener	listener;
static struct threads	*threads;
static unsigned		calls;

static void
worker_stop(void)
{
	char command[100];

	if (service.writer == NULL)
		return;
	threads_stop(threads);
	listen_close(&listener);
	writer_stop(service.writer);
	spool_close(service.spool);
	service.writer = NULL;
	snprintf(command, sizeof(command), "rm -rf '%s'", folder);
	claim(system(command) == 0);
}

static void
worker_start(void)
{
	const char *tmp = getenv("TMPDIR");
	struct writer_config config = { .db = db };
	char why[DB_WHY > LISTEN_WHY ? DB_WHY : LISTEN_WHY];

	snprintf(folder, sizeof(folder), "%s/fuzz-XXXXXX",
	    tmp == NULL || strlen(tmp) > 60 ? "/tmp" : tmp);
	claim(mkdtemp(folder) != NULL);
	snprintf(path, sizeof(path), "%s/socket", folder);
	snprintf(db, sizeof(db), "%s/outbox.db", folder);
	snprintf(spool, sizeof(spool), "%s/spool", folder);
	service.db = db;
	service.observe_list = span_of(OBSERVE_LIST_DEFAULT);
	service.max_body = WORKER_MAX_BODY;
	service.commit_wait = COMMIT_WAIT_MS;
	claim((service.spool = spool_open(spool)) != NULL);
	config.spool = service.spool;
	config.observe_list = service.observe_list;
	claim(writer_start(&service.writer, &config, why) == FAULT_NONE);
	claim(listen_open(&listener, path, 0600, why) == 0);
	handler = service_handler(&service);
	claim(threads_start(&threads, &listener, THREADS, &handler) == 0);
}

const struct handler *
worker_handler(void)
{
	if (service.keyring == NULL) {
		claim(signature_start() == 0);
		signal(SIGPIPE, SIG_IGN);
		service.keyring = keyring_open(WORKER_SECRET, NULL);
		claim(service.keyring != NULL);
		atexit(worker_stop);
	}
	if (calls++ % CALLS_MAX == 0) {
		worker_stop();
		worker_start();
	}
	return &handler;
}

/* ---- the other end of the line ---- */

static int
worker_connect(void)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(to.sun_path, sizeof(to.sun_path), "%s", path);
	claim(fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0);
	claim(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
	return fd;
}

/* Shuts the socket down for writing when all is sent, or nobody reads it. */
static void
worker_send_some(int fd, struct span *s)
{
	ssize_t n = s->len == 0 ? 0 : send(fd, s->at, s->len, MSG_NOSIGNAL);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n < 0)
		n = (ssize_t)s->len;
	s->at += n;
	s->len -= (size_t)n;
	if (s->len == 0)
		(void)shutdown(fd, SHUT_WR);
}

/* Sends and receives at the same time: else each side could wait for the other
 * to read. */
void
worker_serve(struct text *replies, struct span bytes)
{
	char buf[16384];
	ssize_t n = 1;
	int fd, rc;

	(void)worker_handler();
	fd = worker_connect();
	worker_send_some(fd, &bytes);
	while (n != 0) {
		struct pollfd p = { .fd = fd, .events = POLLIN };

		if (bytes.len > 0)
			p.events |= POLLOUT;
		if ((rc = poll(&p, 1, REPLY_WAIT_MS)) < 0 && errno == EINTR)
			continue;	/* the engine's timer */
		claim(rc == 1);
		if (p.revents & POLLOUT)
			worker_send_some(fd, &bytes);
		if (!(p.revents & ~POLLOUT))
			continue;
		n = recv(fd, buf, sizeof(buf), 0);
		if (n < 0 && errno != EAGAIN)
			n = 0;
		if (n > 0)
			text_add(replies, buf, (size_t)n);
	}
	close(fd);
	claim(!replies->broken);
}

bool
worker_reply(struct span *replies, struct text *reply)
{
	enum { END = 3, STDOUT = 6, GET_VALUES_RESULT = 10,
	    UNKNOWN_TYPE = 11 };
	unsigned type;

	if (replies->len == 0)
		return false;
	do {
		const unsigned char *p = (const unsigned char *)replies->at;
		size_t content, whole;

		claim(replies->len >= RECORD_HEADER);
		type = p[1];
		content = (size_t)p[4] << 8 | p[5];
		whole = RECORD_HEADER + content + p[6];
		claim(p[0] == 1 && replies->len >= whole);
		/* libfcgi's answers to management records amid a request. */
		if ((p[2] | p[3]) == 0)
			claim(type == GET_VALUES_RESULT ||
			    (type == UNKNOWN_TYPE && content == 8));
		else
			claim(type == STDOUT || (type == END && content == 8));
		if (type == STDOUT)
			text_add(reply, replies->at + RECORD_HEADER, content);
		replies->at += whole;
		replies->len -= whole;
	} while (type != END);
	return true;
}
