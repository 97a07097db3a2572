/* The only door to libcurl on this side. api_get() is a ladder:
 *
 * 1. api_limit()     waits where the answer before has used up the limit.
 * 2. api_transfer()  one request, within bounds of time and size.
 * 3. api_classify()  what came of it: api_parse() reads a good answer;
 *                    others pass, and are asked for again, or do not.
 */
#include "backfill/api.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <curl/curl.h>

#include "base/clock.h"

#define ANSWER_MAX	33554432	/* bytes; a page of issues has < 1 MB */
#define VALUES_MAX	500000		/* about; each takes up to 800 bytes */
#define CONNECT_MS	10000L
#define TRIES_MAX	6		/* of what fails */
#define TRY_FIRST_MS	250		/* doubled with each try */
#define LIMITS_MAX	30		/* waits for the same request */
#define NAP_MS		50		/* between two looks at `stop` */

static const char answer_head[] = "{\"answer\":";

struct api {
	struct api_config	 config;
	CURL			*easy;
	struct curl_slist	*headers;
	struct api_headers	 limit;		/* the last answer's */
	char			*secret;	/* Authorization: Bearer ... */
};

/* ---- opening ---- */

static size_t
/* NOLINTNEXTLINE(readability-non-const-parameter): the type is libcurl's */
api_take_header(char *at, size_t size, size_t count, void *arg)
{
	struct api_answer *a = arg;
	struct span line = { at, size * count };

	api_headers_read(&a->headers, line);
	return line.len;
}

static size_t
api_take_body(char *at, size_t size, size_t count, void *arg)
{
	struct api_answer *a = arg;

	if (a->body.len + size * count > ANSWER_MAX)
		return 0;
	text_add(&a->body, at, size * count);
	return a->body.broken ? 0 : size * count;
}

static int
api_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	const struct api *api = arg;

	(void)a, (void)b, (void)c, (void)d;
	return *api->config.stop != 0;
}

static bool
api_set_up(struct api *api)
{
	CURL *e = api->easy;
	const struct api_config *c = &api->config;

	return curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https") ==
	    CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_HTTPHEADER, api->headers) ==
	    CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_USERAGENT,
	    "sentry-backfill/" PACKAGE_VERSION) == CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_ACCEPT_ENCODING, "") == CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS) ==
	    CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_TIMEOUT, (long)c->timeout_s) ==
	    CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, api_take_header) ==
	    CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, api_take_body) ==
	    CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_NOPROGRESS, 0L) == CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_XFERINFOFUNCTION, api_progress) ==
	    CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_XFERINFODATA, api) == CURLE_OK &&
	    (c->ca == NULL ||
	    curl_easy_setopt(e, CURLOPT_CAINFO, c->ca) == CURLE_OK);
}

struct api *
api_open(const struct api_config *config)
{
	static const char lead[] = "Authorization: Bearer ";
	struct api *api = calloc(1, sizeof(*api));
	size_t n = sizeof(lead) + strlen(config->token);

	if (api == NULL)
		return NULL;
	api->config = *config;
	if (curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK &&
	    (api->easy = curl_easy_init()) != NULL &&
	    (api->secret = malloc(n)) != NULL) {
		snprintf(api->secret, n, "%s%s", lead, config->token);
		api->headers = curl_slist_append(NULL, api->secret);
		if (api->headers != NULL && api_set_up(api))
			return api;
	}
	api_close(api);
	return NULL;
}

void
api_close(struct api *api)
{
	if (api == NULL)
		return;
	curl_easy_cleanup(api->easy);
	curl_slist_free_all(api->headers);
	free(api->secret);
	curl_global_cleanup();
	free(api);
}

void
api_answer_release(struct api_answer *a)
{
	json_close(&a->root);
	text_release(&a->body);
	*a = (struct api_answer){ 0 };
}

/* ---- waiting ---- */

static bool
api_sleep(struct api *api, int64_t ms, const char *why)
{
	int64_t end = clock_ms() + ms;

	if (ms >= 1000 && api->config.waits != NULL)
		api->config.waits(ms, why);
	while (*api->config.stop == 0 && clock_ms() < end)
		nanosleep(&(struct timespec){ .tv_nsec = NAP_MS * 1000000L },
		    NULL);
	return *api->config.stop == 0;
}

/* False when it was told to stop. */
static bool
api_limit(struct api *api)
{
	int64_t ms = api_headers_wait_ms(&api->limit, clock_wall_ms());

	api->limit = (struct api_headers){ 0 };
	return ms == 0 || api_sleep(api, ms, "Sentry's rate limit");
}

/* ---- one request ---- */

/* libcurl's longer words could quote the URL; these are fixed. */
static CURLcode
api_transfer(struct api *api, struct api_answer *a, const char *path)
{
	size_t n = strlen(api->config.base) + strlen(path) + 1;
	char *url = malloc(n);
	CURLcode rc = CURLE_OUT_OF_MEMORY;

	api_answer_release(a);
	if (url == NULL)
		return rc;
	snprintf(url, n, "%s%s", api->config.base, path);
	text_str(&a->body, answer_head);
	if (curl_easy_setopt(api->easy, CURLOPT_URL, url) == CURLE_OK &&
	    curl_easy_setopt(api->easy, CURLOPT_HEADERDATA, a) == CURLE_OK &&
	    curl_easy_setopt(api->easy, CURLOPT_WRITEDATA, a) == CURLE_OK)
		rc = curl_easy_perform(api->easy);
	free(url);
	api->limit = a->headers;
	return rc;
}

/* ---- what came of it ---- */

static void
api_printable(char *s)
{
	for (; *s != '\0'; s++)
		if (*s < 0x20 || *s > 0x7e)
			*s = '?';
}

/* About how many values there are, at most: before each but the first stands
 * one of these. Those within strings count as well. */
static size_t
api_count_values(struct span s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.len; i++)
		n += s.at[i] == ',' || s.at[i] == '[' || s.at[i] == '{';
	return n;
}

/* Whatever stands there, as a member of an object: json.h reads no other. */
static enum api_result
api_parse(struct api_answer *a, char why[API_WHY])
{
	int rc;

	if (api_count_values(text_view(&a->body)) > VALUES_MAX) {
		snprintf(why, API_WHY, "an answer of more than %d values",
		    VALUES_MAX);
		return API_REFUSED;
	}
	text_str(&a->body, "}");
	rc = a->body.broken ? -1 : json_open(&a->root, text_view(&a->body));
	if (rc == 0) {
		a->value = json_get(a->root, "answer");
		return API_GOOD;
	}
	snprintf(why, API_WHY, "%s", rc < 0 ? "out of memory" :
	    "the answer is no JSON: is --base-url the root of a Sentry?");
	return rc < 0 ? API_LATER : API_REFUSED;
}

/* What Sentry says itself of what it refuses. */
static void
api_detail(struct api_answer *a, char *out, size_t size)
{
	char unused[API_WHY];
	struct span s = SPAN_NONE;

	out[0] = '\0';
	if (api_parse(a, unused) == API_GOOD)
		s = json_get_scalar(a->value, "detail");
	if (s.len > 0)
		snprintf(out, size, " (%.*s)", (int)(s.len > 120 ? 120 :
		    s.len), s.at);
}

static enum api_result
api_refused(struct api_answer *a, const char *scope, char why[API_WHY])
{
	int status = a->headers.status;
	char detail[160];

	api_detail(a, detail, sizeof(detail));
	if (status == 401)
		snprintf(why, API_WHY, "401: the token is not taken%s: it is "
		    "another Sentry's, or was revoked, or lacks the "
		    "permission %s", detail, scope);
	else if (status == 403)
		snprintf(why, API_WHY, "403: the token lacks the permission "
		    "%s, or is another organization's%s", scope, detail);
	else if (status >= 300 && status < 400)
		snprintf(why, API_WHY, "%d: a redirect, which is not "
		    "followed: --base-url names the Sentry itself", status);
	else
		snprintf(why, API_WHY, "%d%s", status, detail);
	api_printable(why);
	return status == 404 || status == 410 ? API_GONE : API_REFUSED;
}

static enum api_result
api_classify(const struct api *api, struct api_answer *a, CURLcode rc,
    const char *scope, char why[API_WHY])
{
	int status = a->headers.status;

	why[0] = '\0';
	if (*api->config.stop != 0) {
		snprintf(why, API_WHY, "interrupted");
		return API_STOPPED;
	}
	if (rc == CURLE_WRITE_ERROR && !a->body.broken) {
		snprintf(why, API_WHY, "an answer of more than %d MB",
		    ANSWER_MAX / 1048576);
		return API_REFUSED;
	}
	if (rc != CURLE_OK) {
		snprintf(why, API_WHY, "%s", curl_easy_strerror(rc));
		return rc == CURLE_PEER_FAILED_VERIFICATION ||
		    rc == CURLE_SSL_CACERT_BADFILE ||
		    rc == CURLE_URL_MALFORMAT ||
		    rc == CURLE_UNSUPPORTED_PROTOCOL ? API_REFUSED : API_LATER;
	}
	if (status == 429 || status == 408 || status >= 500 || status < 200) {
		snprintf(why, API_WHY, "status %d", status);
		return API_LATER;
	}
	return status < 300 ? api_parse(a, why) : api_refused(a, scope, why);
}

enum api_result
api_get(struct api *api, struct api_answer *a, const char *path,
    const char *scope, char why[API_WHY])
{
	int64_t wait = TRY_FIRST_MS;
	unsigned tries = 0, limits = 0;
	enum api_result r;

	for (;;) {
		snprintf(why, API_WHY, "interrupted");
		if (!api_limit(api))
			return API_STOPPED;
		r = api_classify(api, a, api_transfer(api, a, path), scope,
		    why);
		if (r != API_LATER)
			return r;
		if (a->headers.status == 429) {
			if (++limits >= LIMITS_MAX)
				return r;
			continue;
		}
		if (++tries >= TRIES_MAX)
			return r;
		if (!api_sleep(api, wait, why))
			return API_STOPPED;
		wait *= 2;
	}
}
