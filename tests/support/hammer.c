/*
 * A load generator: many clients that send signed hooks over keep-alive
 * HTTP/1.1 on loopback, and remember which of them were answered 200.
 *
 * Every hook is an error.created with an event id of its own. One that got no
 * answer, or another status than 200, is never sent again under the same id:
 * what --out lists is exactly what the receiver has promised to keep.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <sodium.h>

enum {
	EXIT_USAGE = 2,
	ID_LEN = 32,			/* hex digits of an event id */
	HEAD_MAX = 1024,		/* bytes of a request's head */
	ANSWER_MAX = 8192,		/* bytes of an answer, head and body */
	SECRET_MAX = 1024,
	CLIENTS_MAX = 1024,
	BODY_MAX = 64 * 1024 * 1024,
	BUCKET_US = 100,		/* width of a latency bucket */
	BUCKETS = 200000,		/* 20 s; the last one takes the rest */
	PAUSE_NS = 5000000,		/* after a connection that failed */
};

static const char NO_ID[] = "00000000000000000000000000000000";

struct options {
	long port, clients, seconds, count, size, timeout_ms;
	const char *path, *secret_file, *prefix, *out;
};

/* What all clients share; lock guards out alone. */
struct run {
	struct options opt;
	char secret[SECRET_MAX];
	uint32_t prefix;
	int64_t stop_us;
	atomic_long taken;		/* hooks begun, towards opt.count */
	atomic_uint bucket[BUCKETS];	/* latencies of answered hooks */
	FILE *out;
	pthread_mutex_t lock;
};

struct client {
	struct run *run;
	pthread_t thread;
	unsigned number;
	uint64_t next;			/* counter in the next event id */
	int fd;				/* -1: not connected */
	char *body;
	size_t body_len;
	char *request;			/* HEAD_MAX + body_len bytes */
	long sent, ok, other, broken;
	int64_t max_us;
};

static int64_t
now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* ---- the hook ---- */

/*
 * A real-shaped body with NO_ID where event ids go, padded to about size
 * bytes. Returns malloc'ed text, or NULL.
 */
static char *
body_new(unsigned number, size_t size)
{
	static const char form[] = "{\"action\":\"created\",\"installation\":{"
	    "\"uuid\":\"7a485448-a9e2-4c85-8a3c-4f44175783c9\"},\"data\":{"
	    "\"error\":{\"event_id\":\"%s\",\"project\":4509877862268928,"
	    "\"release\":\"shop@1.4.%u\",\"dist\":null,\"platform\":"
	    "\"python\",\"message\":\"\",\"datetime\":\"2026-01-10T20:56:00"
	    ".679000+00:00\",\"tags\":[[\"environment\",\"production\"],"
	    "[\"level\",\"error\"]],\"culprit\":\"shop.cart in total\","
	    "\"environment\":\"production\",\"exception\":{\"values\":[{"
	    "\"type\":\"ValueError\",\"value\":\"caf\\u00e9 is closed\","
	    "\"stacktrace\":{\"frames\":[{\"function\":\"total\","
	    "\"filename\":\"shop/cart.py\",\"abs_path\":\"/srv/shop/cart."
	    "py\",\"lineno\":42,\"in_app\":true}]}}]},\"level\":\"error\","
	    "\"metadata\":{\"type\":\"ValueError\",\"value\":\"caf\\u00e9 is"
	    " closed\"},\"timestamp\":1768078560.679,\"title\":\"ValueError:"
	    " caf\\u00e9 is closed\",\"extra\":{\"padding\":\"%.*s\"},"
	    "\"url\":\"https://sentry.io/api/0/projects/example/shop/events/"
	    "%s/\",\"web_url\":\"https://sentry.io/organizations/example/"
	    "issues/%u/events/%s/\",\"issue_url\":\"https://sentry.io/api/0/"
	    "issues/%u/\",\"issue_id\":\"%u\"}},\"actor\":{\"type\":"
	    "\"application\",\"id\":\"sentry\",\"name\":\"Sentry\"}}";
	unsigned issue = 1000000 + number;
	char *pad, *body = NULL;
	int bare, padding;

	bare = snprintf(NULL, 0, form, NO_ID, number, 0, "", NO_ID, issue,
	    NO_ID, issue, issue);
	padding = size > (size_t)bare ? (int)size - bare : 0;
	pad = malloc((size_t)padding + 1);
	if (!pad)
		return NULL;
	memset(pad, 'x', (size_t)padding);
	if (asprintf(&body, form, NO_ID, number, padding, pad, NO_ID, issue,
	    NO_ID, issue, issue) < 0)
		body = NULL;
	free(pad);
	return body;
}

/* Writes id over every place in the template that held the last one. */
static void
body_stamp(struct client *c, const char *last, const char *id)
{
	char *at = c->body;

	while ((at = strstr(at, last))) {
		memcpy(at, id, ID_LEN);
		at += ID_LEN;
	}
}

static void
sign(const struct client *c, char hex[static 65])
{
	const char *key = c->run->secret;
	unsigned char mac[crypto_auth_hmacsha256_BYTES];
	crypto_auth_hmacsha256_state st;

	crypto_auth_hmacsha256_init(&st, (const unsigned char *)key,
	    strlen(key));
	crypto_auth_hmacsha256_update(&st, (const unsigned char *)c->body,
	    c->body_len);
	crypto_auth_hmacsha256_final(&st, mac);
	sodium_bin2hex(hex, 65, mac, sizeof mac);
}

/* Head and body in one buffer, for one send. Returns the length. */
static size_t
request_write(struct client *c, const char *id)
{
	char hex[65];
	int n;

	sign(c, hex);
	n = snprintf(c->request, HEAD_MAX, "POST %s HTTP/1.1\r\n"
	    "Host: 127.0.0.1\r\nContent-Type: application/json\r\n"
	    "User-Agent: sentry/26.1.0 (https://sentry.io)\r\n"
	    "Request-ID: %s\r\nSentry-Hook-Resource: error\r\n"
	    "Sentry-Hook-Timestamp: %lld\r\nSentry-Hook-Signature: %s\r\n"
	    "Content-Length: %zu\r\n\r\n", c->run->opt.path, id,
	    (long long)time(NULL), hex, c->body_len);
	if (n < 0 || n >= HEAD_MAX)
		abort();	/* the path's length was checked */
	memcpy(c->request + n, c->body, c->body_len);
	return (size_t)n + c->body_len;
}

/* ---- the connection ---- */

static void
hang_up(struct client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

static bool
dial(struct client *c)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)c->run->opt.port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	const struct timespec pause = { .tv_nsec = PAUSE_NS };
	int one = 1;

	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		return false;
	if (connect(c->fd, (struct sockaddr *)&to, sizeof to) < 0) {
		hang_up(c);
		nanosleep(&pause, NULL);
		return false;
	}
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	return true;
}

static bool
ready(const struct client *c, short events, int64_t until)
{
	struct pollfd p = { .fd = c->fd, .events = events };
	int64_t left = until - now_us();

	return left > 0 && poll(&p, 1, (int)(left / 1000) + 1) == 1;
}

static bool
send_all(struct client *c, size_t len, int64_t until)
{
	size_t done = 0;
	ssize_t n;

	while (done < len) {
		n = send(c->fd, c->request + done, len - done,
		    MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n > 0)
			done += (size_t)n;
		else if (n == 0 || (errno != EAGAIN && errno != EINTR))
			return false;
		else if (!ready(c, POLLOUT, until))
			return false;
	}
	return true;
}

/* The whole answer's length once its head is there; 0: read on; -1: bad. */
static long
answer_length(const char *text)
{
	const char *end = strstr(text, "\r\n\r\n");
	const char *field = strcasestr(text, "\r\nContent-Length:");
	long n;

	if (!end)
		return 0;
	if (strncmp(text, "HTTP/1.1 ", 9) != 0 || !field || field > end)
		return -1;
	n = strtol(field + strlen("\r\nContent-Length:"), NULL, 10);
	n += end + 4 - text;
	return n > 0 && n < ANSWER_MAX ? n : -1;
}

/* Reads one answer. Returns its status, or 0 if there was none. */
static int
receive(struct client *c, int64_t until, bool *last)
{
	char text[ANSWER_MAX];
	size_t have = 0;
	long want = 0;
	ssize_t n;

	while (want == 0 || have < (size_t)want) {
		if (!ready(c, POLLIN, until))
			return 0;
		n = recv(c->fd, text + have, sizeof text - 1 - have, 0);
		if (n <= 0)
			return 0;
		have += (size_t)n;
		text[have] = '\0';
		want = want ? want : answer_length(text);
		if (want < 0 || (want == 0 && have == sizeof text - 1))
			return 0;
	}
	*last = strcasestr(text, "\r\nConnection: close") != NULL;
	return atoi(text + strlen("HTTP/1.1 "));
}

/* Sends what stands in c->request. Returns the status, 0 without an answer. */
static int
exchange(struct client *c, size_t len, int64_t until)
{
	bool last = false;
	int status = 0;

	if (c->fd < 0 && !dial(c))
		return 0;
	if (send_all(c, len, until))
		status = receive(c, until, &last);
	if (status == 0 || last)
		hang_up(c);
	return status;
}

/* ---- the clients ---- */

static void
tally_answer(struct client *c, int status, const char *id, int64_t us)
{
	struct run *r = c->run;
	int64_t slot = us / BUCKET_US;

	atomic_fetch_add_explicit(
	    &r->bucket[slot < BUCKETS ? slot : BUCKETS - 1], 1,
	    memory_order_relaxed);
	if (us > c->max_us)
		c->max_us = us;
	if (status != 200) {
		c->other++;
		return;
	}
	c->ok++;
	if (!r->out)
		return;
	pthread_mutex_lock(&r->lock);
	fprintf(r->out, "%s\n", id);
	pthread_mutex_unlock(&r->lock);
}

/* SIGTERM ends the load as its last second does: the answers to what was sent
 * are still waited for. Only the main thread takes it, which waits. */
static atomic_bool stopped;

static void
stop(int sig)
{
	(void)sig;
	stopped = true;
}

static void
take_sigterm(int how)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	pthread_sigmask(how, &set, NULL);
}

/* Takes one hook from the common count; false: there are none left. */
static bool
take(struct run *r)
{
	if (stopped || now_us() >= r->stop_us)
		return false;
	if (r->opt.count == 0)
		return true;
	return atomic_fetch_add(&r->taken, 1) < r->opt.count;
}

static void *
client_main(void *arg)
{
	struct client *c = arg;
	char last[ID_LEN + 1], id[ID_LEN + 1];
	int64_t start;
	size_t len;
	int status;

	memcpy(last, NO_ID, sizeof last);
	while (take(c->run)) {
		snprintf(id, sizeof id, "%08x%08x%016llx", c->run->prefix,
		    c->number, (unsigned long long)++c->next);
		body_stamp(c, last, id);
		memcpy(last, id, sizeof last);
		len = request_write(c, id);
		start = now_us();
		status = exchange(c, len,
		    start + c->run->opt.timeout_ms * 1000);
		c->sent++;
		if (status)
			tally_answer(c, status, id, now_us() - start);
		else
			c->broken++;
	}
	hang_up(c);
	return NULL;
}

static bool
client_start(struct client *c, struct run *r, unsigned number)
{
	c->run = r;
	c->number = number;
	c->fd = -1;
	c->body = body_new(number, (size_t)r->opt.size);
	if (!c->body)
		return false;
	c->body_len = strlen(c->body);
	c->request = malloc(HEAD_MAX + c->body_len);
	return c->request && pthread_create(&c->thread, NULL, client_main,
	    c) == 0;
}

/* ---- the figures ---- */

static double
percentile_ms(struct run *r, unsigned percent)
{
	unsigned long all = 0, seen = 0;
	size_t i;

	for (i = 0; i < BUCKETS; i++)
		all += r->bucket[i];
	for (i = 0; i < BUCKETS; i++) {
		seen += r->bucket[i];
		if (seen && seen * 100 >= all * percent)
			return (double)(i + 1) * BUCKET_US / 1000;
	}
	return 0;
}

static void
print_figures(struct run *r, const struct client *cs, int64_t took_us)
{
	long sent = 0, ok = 0, other = 0, broken = 0, i;
	int64_t max_us = 0;

	for (i = 0; i < r->opt.clients; i++) {
		sent += cs[i].sent;
		ok += cs[i].ok;
		other += cs[i].other;
		broken += cs[i].broken;
		if (cs[i].max_us > max_us)
			max_us = cs[i].max_us;
	}
	printf("sent=%ld ok=%ld status_other=%ld broken=%ld max_ms=%.1f "
	    "p50_ms=%.1f p99_ms=%.1f rate=%.0f\n", sent, ok, other, broken,
	    (double)max_us / 1000, percentile_ms(r, 50),
	    percentile_ms(r, 99),
	    took_us > 0 ? (double)ok * 1e6 / (double)took_us : 0.0);
}

static int
hammer(struct run *r)
{
	struct client *cs = calloc((size_t)r->opt.clients, sizeof *cs);
	int64_t start = now_us();
	long i, started;

	if (!cs)
		return EXIT_FAILURE;
	r->stop_us = start + r->opt.seconds * 1000000;
	take_sigterm(SIG_BLOCK);
	for (started = 0; started < r->opt.clients; started++)
		if (!client_start(&cs[started], r, (unsigned)started))
			break;
	take_sigterm(SIG_UNBLOCK);
	if (started < r->opt.clients)
		fprintf(stderr, "hammer: only %ld clients\n", started);
	for (i = 0; i < started; i++)
		pthread_join(cs[i].thread, NULL);
	print_figures(r, cs, now_us() - start);
	for (i = 0; i < r->opt.clients; i++) {
		free(cs[i].body);
		free(cs[i].request);
	}
	i = r->opt.clients;
	free(cs);
	return started < i ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* ---- the command line ---- */

static int
usage(const char *why)
{
	fprintf(stderr, "hammer: %s\nusage: hammer --port N --secret-file F "
	    "[--path P] [--clients N] [--seconds N] [--count N]\n"
	    "       [--size BYTES] [--prefix TEXT] [--out FILE] "
	    "[--timeout-ms N]\n", why);
	return EXIT_USAGE;
}

/* The last word of the file's first line that is no comment. */
static bool
read_secret(const char *file, char secret[static SECRET_MAX])
{
	char line[SECRET_MAX], *word, *save;
	FILE *f = fopen(file, "r");

	secret[0] = '\0';
	if (!f)
		return false;
	while (!secret[0] && fgets(line, sizeof line, f)) {
		if (line[0] == '#')
			continue;
		word = strtok_r(line, " \t\r\n", &save);
		for (; word; word = strtok_r(NULL, " \t\r\n", &save))
			memcpy(secret, word, strlen(word) + 1);
	}
	fclose(f);
	return secret[0] != '\0';
}

static bool
number(const char *text, long low, long high, long *out)
{
	char *end;

	errno = 0;
	*out = strtol(text, &end, 10);
	return errno == 0 && end != text && *end == '\0' && *out >= low &&
	    *out <= high;
}

static bool
option(struct options *o, int name)
{
	switch (name) {
	case 'p': return number(optarg, 1, 65535, &o->port);
	case 'c': return number(optarg, 1, CLIENTS_MAX, &o->clients);
	case 's': return number(optarg, 1, 86400, &o->seconds);
	case 'n': return number(optarg, 0, 1000000000, &o->count);
	case 'z': return number(optarg, 0, BODY_MAX, &o->size);
	case 't': return number(optarg, 1, 600000, &o->timeout_ms);
	case 'a': o->path = optarg; return strlen(optarg) < HEAD_MAX / 4;
	case 'f': o->secret_file = optarg; return true;
	case 'x': o->prefix = optarg; return true;
	case 'o': o->out = optarg; return true;
	}
	return false;
}

static bool
options(struct options *o, int argc, char **argv)
{
	static const struct option names[] = {
		{ "port", required_argument, NULL, 'p' },
		{ "path", required_argument, NULL, 'a' },
		{ "secret-file", required_argument, NULL, 'f' },
		{ "clients", required_argument, NULL, 'c' },
		{ "seconds", required_argument, NULL, 's' },
		{ "count", required_argument, NULL, 'n' },
		{ "size", required_argument, NULL, 'z' },
		{ "prefix", required_argument, NULL, 'x' },
		{ "out", required_argument, NULL, 'o' },
		{ "timeout-ms", required_argument, NULL, 't' },
		{ NULL, 0, NULL, 0 },
	};
	int name;

	while ((name = getopt_long(argc, argv, "", names, NULL)) != -1)
		if (!option(o, name))
			return false;
	return optind == argc && o->port && o->secret_file;
}

/* The first 32 bits of the prefix's hash; without one, of chance. */
static uint32_t
prefix_bits(const char *prefix)
{
	unsigned char h[crypto_hash_sha256_BYTES];

	if (!prefix)
		return randombytes_random();
	crypto_hash_sha256(h, (const unsigned char *)prefix, strlen(prefix));
	return (uint32_t)h[0] << 24 | (uint32_t)h[1] << 16 |
	    (uint32_t)h[2] << 8 | h[3];
}

int
main(int argc, char **argv)
{
	static struct run r = {
		.opt = { .clients = 64, .seconds = 60, .size = 2048,
		    .timeout_ms = 5000, .path = "/api/sentry/webhooks" },
		.lock = PTHREAD_MUTEX_INITIALIZER,
	};
	int rc;

	if (!options(&r.opt, argc, argv))
		return usage("bad command line");
	if (!read_secret(r.opt.secret_file, r.secret))
		return usage("no secret in --secret-file");
	if (sodium_init() < 0)
		return EXIT_FAILURE;
	if (r.opt.out && !(r.out = fopen(r.opt.out, "w")))
		return usage("cannot write --out");
	r.prefix = prefix_bits(r.opt.prefix);
	signal(SIGTERM, stop);
	rc = hammer(&r);
	if (r.out && fclose(r.out) != 0)
		rc = EXIT_FAILURE;
	sodium_memzero(r.secret, sizeof r.secret);
	return rc;
}
