#include "sink/http_batch.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include <curl/curl.h>

#include "sink/http_response.h"

#define ANSWER_MAX	1048576	/* bytes of an answer: 5,000 ids are 150 KB */
#define SECRETS_MAX	16	/* parts of a URL that nobody may see */
#define SECRET_LEAST	3	/* bytes of one that is worth hiding */
#define SECRET_LONG	16	/* a part of a path that may be one */
#define CONNECT_MS	10000L

/* A request on its way, or a place for one. */
struct slot {
	CURL		*easy;
	struct http_group	*group;		/* NULL: free */
	unsigned	 lane;		/* its group's, as batch.h has them */
	bool		 tried;
	struct text	 body, answer;
	long		 said;		/* the answer's status line */
};

/* An event API over HTTP: Inngest's, or whoever answers alike. */
struct sink_http {
	struct sink		 sink;		/* first */
	struct http_sink_config	 config;
	CURLM			*multi;
	struct curl_slist	*headers;
	struct http_batch		 batch;		/* rows that wait */
	struct row		*judged;
	struct slot		*slots;		/* config.requests + 1 */
	bool			 inngest;	/* by its path: .../e/KEY */
	char			*secret[SECRETS_MAX];
	unsigned		 secrets;
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

/* Whether anything of the request can have reached the sink: a connection was
 * there, and it was about to be written. */
static bool
has_left(CURL *easy)
{
	curl_off_t us = 0;

	curl_easy_getinfo(easy, CURLINFO_PRETRANSFER_TIME_T, &us);
	return us > 0;
}

/* libcurl's own words may hold the URL, and that the key: only the short,
 * fixed ones are used. */
static void
failed(struct sink_http *h, struct slot *s, CURLcode rc)
{
	bool left = has_left(s->easy);

	if (left)
		http_batch_learn(&h->batch, s->group, false);
	http_group_set_fate(s->group, &h->judged, left ? FATE_LATER :
	    FATE_UNREACHABLE, 0, span_of(curl_easy_strerror(rc)));
}

/* Takes back a group that has a bad row in it. Where Inngest says how many it
 * has taken, the bad one is the next, or, as it cuts off one more with some
 * errors, the one behind that: the next travels alone. */
static bool
split(struct sink_http *h, struct http_group *g, struct span answer)
{
	long taken = h->inngest ? http_response_taken(answer) : -1;

	if (taken < 0 || taken >= (long)g->count)
		return http_batch_split(&h->batch, g, g->count / 2);
	http_group_deliver(g, &h->judged, (unsigned)taken);
	return http_batch_split(&h->batch, g, 1);
}

static void
answered(struct sink_http *h, struct slot *s)
{
	struct span answer = text_view(&s->answer);
	struct text words = { 0 };
	char *type = NULL;
	enum fate fate;
	long status = 0, meant;

	curl_easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(s->easy, CURLINFO_CONTENT_TYPE, &type);
	meant = s->said == status ? http_response_status(status,
	    span_of(type == NULL ? "" : type), answer, h->inngest,
	    s->group->count) : HTTP_RESPONSE_STRANGE;
	fate = retry_fate(meant);
	if (fate == FATE_REFUSED && s->group->count > 1) {
		if (split(h, s->group, answer))
			return;
		fate = FATE_LATER;	/* out of memory */
	}
	/* Too many requests are nothing that a row could do about. */
	if (fate == FATE_DELIVERED || (fate == FATE_LATER && meant != 429))
		http_batch_learn(&h->batch, s->group, fate == FATE_DELIVERED);
	if (fate != FATE_DELIVERED) {
		http_response_words(&words, status, meant, answer);
		http_response_hide(&words, h->secret, h->secrets);
	}
	http_group_set_fate(s->group, &h->judged, fate, retry_after_ms(s->easy),
	    text_view(&words));
	text_release(&words);
}

/* libcurl makes a 200 of any line that begins like a status line: what it
 * reports counts only if the line says so. */
static size_t
take_header(char *at, size_t size, size_t count, void *arg)
{
	long *said = arg;
	size_t n = size * count;
	const char *space = memchr(at, ' ', n);

	if (n < 5 || memcmp(at, "HTTP/", 5) != 0)
		return n;
	*said = 0;
	if (space != NULL && at + n - space > 3)
		*said = (space[1] - '0') * 100 + (space[2] - '0') * 10 +
		    space[3] - '0';
	return n;
}

static size_t
take_answer(char *at, size_t size, size_t count, void *arg)
{
	struct text *answer = arg;
	size_t n = size * count, left = ANSWER_MAX - answer->len;

	text_add(answer, at, n < left ? n : left);
	return n;
}

/* ---- requests ---- */

static bool
open_slot(struct sink_http *h, struct slot *s)
{
	if ((s->easy = curl_easy_init()) == NULL)
		return false;
	return curl_easy_setopt(s->easy, CURLOPT_URL, h->config.url) ==
	    CURLE_OK &&
	    curl_easy_setopt(s->easy, CURLOPT_PROTOCOLS_STR, "http,https") ==
	    CURLE_OK &&
	    curl_easy_setopt(s->easy, CURLOPT_HTTPHEADER, h->headers) ==
	    CURLE_OK &&
	    curl_easy_setopt(s->easy, CURLOPT_USERAGENT,
	    "sentry-deliver/" PACKAGE_VERSION) == CURLE_OK &&
	    curl_easy_setopt(s->easy, CURLOPT_POST, 1L) == CURLE_OK &&
	    curl_easy_setopt(s->easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
	    curl_easy_setopt(s->easy, CURLOPT_CONNECTTIMEOUT_MS,
	    CONNECT_MS) == CURLE_OK &&
	    curl_easy_setopt(s->easy, CURLOPT_TIMEOUT,
	    (long)h->config.timeout_s) == CURLE_OK &&
	    curl_easy_setopt(s->easy, CURLOPT_WRITEFUNCTION, take_answer) ==
	    CURLE_OK &&
	    curl_easy_setopt(s->easy, CURLOPT_WRITEDATA, &s->answer) ==
	    CURLE_OK &&
	    curl_easy_setopt(s->easy, CURLOPT_HEADERFUNCTION, take_header) ==
	    CURLE_OK &&
	    curl_easy_setopt(s->easy, CURLOPT_HEADERDATA, &s->said) ==
	    CURLE_OK &&
	    curl_easy_setopt(s->easy, CURLOPT_PRIVATE, s) == CURLE_OK;
}

/* A handle does not serve twice: in one that does, libcurl (until May 2023,
 * its pull request 11103) follows a pointer into the former answer's headers
 * when an answer begins with a folded one. Connections are kept by `multi`. */
static void
free_slot(struct sink_http *h, struct slot *s)
{
	http_batch_done(&h->batch, s->lane, s->tried);
	s->group = NULL;
	curl_easy_cleanup(s->easy);
	s->easy = NULL;
}

static bool
start_transfer(struct sink_http *h, struct slot *s)
{
	return !s->body.broken && (s->easy != NULL || open_slot(h, s)) &&
	    curl_easy_setopt(s->easy, CURLOPT_POSTFIELDS, s->body.at) ==
	    CURLE_OK &&
	    curl_easy_setopt(s->easy, CURLOPT_POSTFIELDSIZE_LARGE,
	    (curl_off_t)s->body.len) == CURLE_OK &&
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
	s->said = 0;
	if (!start_transfer(h, s)) {
		text_release(&s->body);
		http_group_set_fate(g, &h->judged, FATE_LATER, 0,
		    span_of("out of memory"));
		free_slot(h, s);
	}
}

static unsigned
free_slots(const struct sink_http *h)
{
	unsigned n = 0;

	for (unsigned i = 0; i <= h->config.requests; i++)
		n += h->slots[i].group == NULL;
	return n;
}

static void
fill_slots(struct sink_http *h)
{
	for (unsigned i = 0; i <= h->config.requests; i++) {
		struct http_group *g;

		if (h->slots[i].group != NULL)
			continue;
		if ((g = http_batch_next(&h->batch)) == NULL)
			return;
		send_group(h, &h->slots[i], g);
	}
}

static void
read_results(struct sink_http *h)
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
			answered(h, s);
		else
			failed(h, s, rc);
		free_slot(h, s);
	}
}

/* ---- the interface ---- */

/* One more request than may be of a single lane: it waits for the others. */
static unsigned
http_room(struct sink *sink)
{
	struct sink_http *h = (struct sink_http *)sink;

	return free_slots(h) > 0 ? h->config.requests * h->config.events : 0;
}

static void
http_give(struct sink *sink, struct row *rows)
{
	struct sink_http *h = (struct sink_http *)sink;

	http_batch_add(&h->batch, rows);
	fill_slots(h);
}

static struct row *
http_wait(struct sink *sink, int ms)
{
	struct sink_http *h = (struct sink_http *)sink;
	struct row *judged;
	int running;

	fill_slots(h);
	curl_multi_perform(h->multi, &running);
	read_results(h);
	if (h->judged == NULL) {
		curl_multi_poll(h->multi, NULL, 0, ms, NULL);
		curl_multi_perform(h->multi, &running);
		read_results(h);
	}
	judged = h->judged;
	h->judged = NULL;
	return judged;
}

static void
http_close(struct sink *sink)
{
	struct sink_http *h = (struct sink_http *)sink;

	for (unsigned i = 0; h->slots != NULL &&
	    i <= h->config.requests; i++) {
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
	for (unsigned i = 0; i < h->secrets; i++)
		free(h->secret[i]);
	http_batch_release(&h->batch);
	row_free_all(h->judged);
	curl_slist_free_all(h->headers);
	curl_multi_cleanup(h->multi);
	curl_global_cleanup();
	free(h);
}

static const struct sink_ops http_ops = {
	.room = http_room,
	.give = http_give,
	.wait = http_wait,
	.close = http_close,
};

/* ---- opening ---- */

/* As it stands in the URL, and as a server has decoded it. */
static void
keep_secret(struct sink_http *h, const char *at, size_t n)
{
	char *forms[2] = { strndup(at, n), NULL };

	if (forms[0] == NULL)
		return;
	forms[1] = curl_easy_unescape(NULL, forms[0], 0, NULL);
	for (int i = 0; i < 2; i++)
		if (forms[i] != NULL && h->secrets < SECRETS_MAX &&
		    strlen(forms[i]) >= SECRET_LEAST &&
		    (i == 0 || strcmp(forms[0], forms[1]) != 0))
			h->secret[h->secrets++] = strdup(forms[i]);
	if (h->secrets > 0 && h->secret[h->secrets - 1] == NULL)
		h->secrets--;
	free(forms[0]);
	curl_free(forms[1]);
}

/* Of a path the end and what is long; of a query the values. */
static void
keep_path_secrets(struct sink_http *h, const char *at)
{
	size_t n;

	for (; *at != '\0'; at += n + (at[n] == '/')) {
		n = strcspn(at, "/");
		if (n >= SECRET_LONG || at[n + strspn(at + n, "/")] == '\0')
			keep_secret(h, at, n);
	}
}

static void
keep_query_secrets(struct sink_http *h, const char *at)
{
	size_t n, name;

	for (; *at != '\0'; at += n + (at[n] == '&')) {
		n = strcspn(at, "&");
		name = strcspn(at, "=");
		name = name < n ? name + 1 : 0;
		keep_secret(h, at + name, n - name);
	}
}

static void
keep_secrets(struct sink_http *h, CURLU *u)
{
	static const CURLUPart parts[] = {
		CURLUPART_PASSWORD, CURLUPART_USER, CURLUPART_PATH,
		CURLUPART_QUERY
	};

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		char *s = NULL;

		if (curl_url_get(u, parts[i], &s, 0) != CURLUE_OK)
			continue;
		if (parts[i] == CURLUPART_PATH)
			keep_path_secrets(h, s);
		else if (parts[i] == CURLUPART_QUERY)
			keep_query_secrets(h, s);
		else
			keep_secret(h, s, strlen(s));
		curl_free(s);
	}
}

/* Where such a URL leads an Inngest answers with its own pages, and 200. */
static const char *
doubt(const char *host, const char *port, const char *path)
{
	const char *key = strrchr(path, '/');
	size_t n = strlen(path);

	if (key != NULL && key[1] != '\0' && key - path >= 2 &&
	    memcmp(key - 2, "/e", 2) == 0)
		return NULL;
	if (strcasecmp(host, "inn.gs") != 0 &&
	    strcasestr(host, "inngest") == NULL &&
	    (port == NULL || strcmp(port, "8288") != 0) &&
	    strstr(path, "/e/") == NULL &&
	    (n < 2 || strcmp(path + n - 2, "/e") != 0))
		return NULL;
	return "this looks like an Inngest, but its URL does not end in "
	    "/e/KEY: what else it has answers other things";
}

/* Scheme, host and port are what may be shown of a URL; the rest holds the
 * key. */
static bool
take_url(struct sink_http *h, CURLU *u)
{
	char *scheme = NULL, *host = NULL, *port = NULL, *path = NULL;
	bool good = u != NULL &&
	    curl_url_set(u, CURLUPART_URL, h->config.url, 0) == CURLUE_OK &&
	    curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
	    curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
	    curl_url_get(u, CURLUPART_PATH, &path, 0) == CURLUE_OK &&
	    (strcasecmp(scheme, "http") == 0 ||
	    strcasecmp(scheme, "https") == 0);

	if (good) {
		(void)curl_url_get(u, CURLUPART_PORT, &port, 0);
		snprintf(h->sink.name, sizeof(h->sink.name), "%s://%s%s%s",
		    scheme, host, port == NULL ? "" : ":",
		    port == NULL ? "" : port);
		h->inngest = strstr(path, "/e/") != NULL;
		h->sink.doubt = doubt(host, port, path);
		keep_secrets(h, u);
	}
	curl_free(scheme);
	curl_free(host);
	curl_free(port);
	curl_free(path);
	curl_url_cleanup(u);
	return good;
}

struct sink *
http_sink_open(const struct http_sink_config *config, char why[SINK_WHY])
{
	struct sink_http *h = calloc(1, sizeof(*h));
	bool good;

	snprintf(why, SINK_WHY, "out of memory");
	if (h == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		free(h);
		return NULL;
	}
	h->sink.ops = &http_ops;
	h->config = *config;
	http_batch_start(&h->batch, config->events, config->bytes,
	    config->requests, config->alone);
	h->multi = curl_multi_init();
	h->headers = curl_slist_append(NULL, "Content-Type: application/json");
	/* No round trip to ask whether a long body is welcome. */
	if (h->headers != NULL)
		(void)curl_slist_append(h->headers, "Expect:");
	h->slots = calloc(config->requests + 1, sizeof(*h->slots));
	good = h->multi != NULL && h->headers != NULL && h->slots != NULL;
	if (good && !take_url(h, curl_url())) {
		snprintf(why, SINK_WHY, "it is not a URL of http or https");
		good = false;
	}
	for (unsigned i = 0; good && i <= config->requests; i++)
		good = open_slot(h, &h->slots[i]);
	if (good)
		return &h->sink;
	http_close(&h->sink);
	return NULL;
}
