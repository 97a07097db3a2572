/* Rows over HTTP. The life of a request:
 *  1. http_sink_give() adds rows to the batch; fill_slots() asks the batch for
 *     a group for each free slot (http_batch_next()).
 *  2. send_group() writes the group as a JSON array, and hands the request to
 *     libcurl.
 *  3. http_sink_wait() lets libcurl send and receive. receive_status() and
 *     receive_body() collect the answer.
 *  4. finish_requests() ends it: by request_answered() if there was an answer,
 *     else by request_failed(). All rows of the group get the same fate, and
 *     are returned by http_sink_wait(); but a group in which the server refuses
 *     one row is split (split_group()), and sent again in two parts. */
#include "sink/http_sink.h"

#include <stdio.h>
#include <stdlib.h>

#include <curl/curl.h>

#include "sink/http_batch.h"
#include "sink/http_response.h"
#include "sink/http_url.h"
#include "sink/retry.h"

#define ANSWER_BYTES		1048576	/* kept of one: 5,000 ids are 150 KB */
#define HTTP_CONNECT_MS		10000L
#define HTTP_TOO_MANY_REQUESTS	429

/* A request in flight, or a place for one. */
struct slot {
	CURL			*easy;
	struct http_group	*group;		/* NULL: the slot is free */
	unsigned		 lane;		/* both are the group's, for */
	bool			 tried;		/* http_batch_done() */
	struct text		 body, answer;
	long			 status;	/* as the status line has it */
};

struct sink_http {
	struct sink		 sink;		/* first */
	struct http_sink_config	 config;
	CURLM			*multi;
	struct curl_slist	*headers;
	struct http_url		 url;
	struct http_batch	 batch;		/* rows that wait for a slot */
	struct row		*done;		/* rows with a fate */
	/* One more than config.requests, which is as many as a single lane may
	 * have: the last one is for another lane. */
	struct slot		*slots;
	unsigned		 slot_count;
};

/* ---- answers ---- */

static int64_t
retry_after_ms(CURL *easy)
{
	curl_off_t seconds = 0;

	curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &seconds);
	if (seconds > RETRY_MOST_MS / 1000)
		seconds = RETRY_MOST_MS / 1000;
	return seconds > 0 ? (int64_t)seconds * 1000 : 0;
}

/* Whether any byte of the request can have reached the server: there was a
 * connection, and libcurl was about to write to it. */
static bool
may_have_arrived(CURL *easy)
{
	curl_off_t us = 0;

	curl_easy_getinfo(easy, CURLINFO_PRETRANSFER_TIME_T, &us);
	return us > 0;
}

/* libcurl's message for a single error may hold the URL and so the key. The
 * text that belongs to its code does not. */
static void
request_failed(struct sink_http *h, struct slot *s, CURLcode rc)
{
	bool arrived = may_have_arrived(s->easy);

	if (arrived)
		http_batch_learn(&h->batch, s->group, false);
	http_group_set_fate(s->group, &h->done, arrived ? FATE_LATER :
	    FATE_UNREACHABLE, 0, span_of(curl_easy_strerror(rc)));
}

/* Takes back a group in which the server refuses a row. Inngest says how many
 * rows it has taken before that one. With some errors it counts one row too
 * few, so that the refused row is the second of the rest: the first of the rest
 * travels alone. Other servers say nothing: the group is halved. */
static bool
split_group(struct sink_http *h, struct http_group *g, struct span answer)
{
	long taken = h->url.inngest ? http_response_taken(answer) : -1;

	if (taken < 0 || taken >= (long)g->count)
		return http_batch_split(&h->batch, g, g->count / 2);
	http_group_deliver(g, &h->done, (unsigned)taken);
	return http_batch_split(&h->batch, g, 1);
}

static void
request_answered(struct sink_http *h, struct slot *s)
{
	struct span answer = text_view(&s->answer);
	struct text why = { 0 };
	char *type = NULL;
	enum fate fate;
	long status = 0, meant;

	curl_easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(s->easy, CURLINFO_CONTENT_TYPE, &type);
	meant = s->status == status ? http_response_status(status,
	    span_of(type == NULL ? "" : type), answer, h->url.inngest,
	    s->group->count) : HTTP_RESPONSE_STRANGE;
	fate = retry_fate(meant);
	if (fate == FATE_REFUSED && s->group->count > 1) {
		if (split_group(h, s->group, answer))
			return;
		fate = FATE_LATER;	/* out of memory */
	}
	/* Too many requests: that is no fault of a row. */
	if (fate == FATE_DELIVERED ||
	    (fate == FATE_LATER && meant != HTTP_TOO_MANY_REQUESTS))
		http_batch_learn(&h->batch, s->group, fate == FATE_DELIVERED);
	if (fate != FATE_DELIVERED) {
		http_response_words(&why, status, meant, answer);
		http_response_hide(&why, h->url.secret, h->url.secrets);
	}
	http_group_set_fate(s->group, &h->done, fate, retry_after_ms(s->easy),
	    text_view(&why));
	text_release(&why);
}

/* libcurl takes any line that begins like a status line for a status of 200.
 * This reads the line itself: the status counts only if both agree. */
static size_t
receive_status(char *at, size_t size, size_t count, void *arg)
{
	long *status = arg;
	size_t n = size * count;
	const char *space = memchr(at, ' ', n);

	if (n < 5 || memcmp(at, "HTTP/", 5) != 0)
		return n;
	*status = 0;
	if (space != NULL && at + n - space > 3)
		*status = (space[1] - '0') * 100 + (space[2] - '0') * 10 +
		    space[3] - '0';
	return n;
}

static size_t
receive_body(char *at, size_t size, size_t count, void *arg)
{
	struct text *answer = arg;
	size_t n = size * count, left = ANSWER_BYTES - answer->len;

	text_add(answer, at, n < left ? n : left);
	return n;
}

/* ---- requests ---- */

#define SET(option, value) \
	(curl_easy_setopt(s->easy, CURLOPT_##option, value) == CURLE_OK)

static bool
prepare_slot(struct sink_http *h, struct slot *s)
{
	return (s->easy = curl_easy_init()) != NULL &&
	    SET(URL, h->config.url) && SET(PROTOCOLS_STR, "http,https") &&
	    SET(HTTPHEADER, h->headers) &&
	    SET(USERAGENT, "sentry-deliver/" PACKAGE_VERSION) &&
	    SET(POST, 1L) && SET(NOSIGNAL, 1L) &&
	    SET(CONNECTTIMEOUT_MS, HTTP_CONNECT_MS) &&
	    SET(TIMEOUT, (long)h->config.timeout_s) &&
	    SET(HEADERFUNCTION, receive_status) &&
	    SET(HEADERDATA, &s->status) &&
	    SET(WRITEFUNCTION, receive_body) && SET(WRITEDATA, &s->answer) &&
	    SET(PRIVATE, s);
}

/* A handle is not used for a second request: libcurl (until May 2023, its pull
 * request 11103) follows a pointer into the headers of the answer before when
 * an answer begins with a folded header. Connections are kept by `multi`. */
static void
free_slot(struct sink_http *h, struct slot *s)
{
	http_batch_done(&h->batch, s->lane, s->tried);
	s->group = NULL;
	curl_easy_cleanup(s->easy);
	s->easy = NULL;
}

static bool
start_request(struct sink_http *h, struct slot *s)
{
	return !s->body.broken &&
	    (s->easy != NULL || prepare_slot(h, s)) &&
	    SET(POSTFIELDS, s->body.at) &&
	    SET(POSTFIELDSIZE_LARGE, (curl_off_t)s->body.len) &&
	    curl_multi_add_handle(h->multi, s->easy) == CURLM_OK;
}

static void
send_group(struct sink_http *h, struct slot *s, struct http_group *g)
{
	s->group = g;
	s->lane = g->lane;
	s->tried = g->tried;
	s->body.len = 0;
	http_group_write(&s->body, g);
	s->answer.len = 0;
	s->status = 0;
	if (!start_request(h, s)) {
		text_release(&s->body);
		http_group_set_fate(g, &h->done, FATE_LATER, 0,
		    span_of("out of memory"));
		free_slot(h, s);
	}
}

static void
fill_slots(struct sink_http *h)
{
	for (unsigned i = 0; i < h->slot_count; i++) {
		struct http_group *g;

		if (h->slots[i].group != NULL)
			continue;
		if ((g = http_batch_next(&h->batch)) == NULL)
			return;
		send_group(h, &h->slots[i], g);
	}
}

static void
finish_requests(struct sink_http *h)
{
	CURLMsg *msg;
	struct slot *s;
	int left;

	while ((msg = curl_multi_info_read(h->multi, &left)) != NULL) {
		CURLcode rc = msg->data.result;

		if (msg->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &s);
		curl_multi_remove_handle(h->multi, s->easy);
		if (rc == CURLE_OK)
			request_answered(h, s);
		else
			request_failed(h, s, rc);
		free_slot(h, s);
	}
}

/* ---- the interface ---- */

static unsigned
http_sink_room(struct sink *sink)
{
	struct sink_http *h = (struct sink_http *)sink;

	for (unsigned i = 0; i < h->slot_count; i++)
		if (h->slots[i].group == NULL)
			return h->config.requests * h->config.events;
	return 0;
}

static void
http_sink_give(struct sink *sink, struct row *rows)
{
	struct sink_http *h = (struct sink_http *)sink;

	http_batch_add(&h->batch, rows);
	fill_slots(h);
}

static void
send_and_receive(struct sink_http *h)
{
	int running;

	curl_multi_perform(h->multi, &running);
	finish_requests(h);
}

static struct row *
http_sink_wait(struct sink *sink, int ms)
{
	struct sink_http *h = (struct sink_http *)sink;
	struct row *done;

	fill_slots(h);
	send_and_receive(h);
	if (h->done == NULL) {
		curl_multi_poll(h->multi, NULL, 0, ms, NULL);
		send_and_receive(h);
	}
	done = h->done;
	h->done = NULL;
	return done;
}

static void
http_sink_close(struct sink *sink)
{
	struct sink_http *h = (struct sink_http *)sink;

	for (unsigned i = 0; i < h->slot_count; i++) {
		struct slot *s = &h->slots[i];

		if (s->group != NULL) {
			curl_multi_remove_handle(h->multi, s->easy);
			http_group_free(s->group);
		}
		curl_easy_cleanup(s->easy);
		text_release(&s->body);
		text_release(&s->answer);
	}
	free(h->slots);
	http_url_release(&h->url);
	http_batch_release(&h->batch);
	row_free_all(h->done);
	curl_slist_free_all(h->headers);
	curl_multi_cleanup(h->multi);
	curl_global_cleanup();
	free(h);
}

static const struct sink_ops http_sink_ops = {
	.room = http_sink_room,
	.give = http_sink_give,
	.wait = http_sink_wait,
	.close = http_sink_close,
};

/* ---- opening ---- */

static bool
prepare_curl(struct sink_http *h)
{
	h->multi = curl_multi_init();
	h->headers = curl_slist_append(NULL, "Content-Type: application/json");
	/* Without this libcurl asks before it sends a long body, which costs a
	 * round trip. */
	if (h->headers != NULL)
		(void)curl_slist_append(h->headers, "Expect:");
	h->slots = calloc(h->config.requests + 1, sizeof(*h->slots));
	if (h->multi == NULL || h->headers == NULL || h->slots == NULL)
		return false;
	h->slot_count = h->config.requests + 1;
	for (unsigned i = 0; i < h->slot_count; i++)
		if (!prepare_slot(h, &h->slots[i]))
			return false;
	return true;
}

struct sink *
http_sink_open(const struct http_sink_config *config, char why[SINK_WHY])
{
	struct sink_http *h = calloc(1, sizeof(*h));

	snprintf(why, SINK_WHY, "out of memory");
	if (h == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		free(h);
		return NULL;
	}
	h->sink.ops = &http_sink_ops;
	h->config = *config;
	http_batch_start(&h->batch, config->events, config->bytes,
	    config->requests, config->alone_after);
	if (!http_url_read(&h->url, config->url)) {
		snprintf(why, SINK_WHY, "it is not a URL of http or https");
	} else if (prepare_curl(h)) {
		memcpy(h->sink.name, h->url.shown, sizeof(h->sink.name));
		h->sink.warning = h->url.warning;
		return &h->sink;
	}
	http_sink_close(&h->sink);
	return NULL;
}
