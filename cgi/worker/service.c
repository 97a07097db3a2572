#include "worker/service.h"

#include <assert.h>

#include "worker/answer.h"
#include "worker/post.h"
#include "worker/status.h"

/* Whether the request's path, SCRIPT_NAME + PATH_INFO, ends in `what`. The web
 * server may have cut it into these two anywhere. */
static bool
service_path_ends_in(const struct request *q, const char *what)
{
	struct span script = cgi_param(q, "SCRIPT_NAME");
	struct span info = cgi_param(q, "PATH_INFO");
	size_t n = strlen(what), tail = info.len < n ? info.len : n;

	if (script.len + info.len < n)
		return false;
	if (tail > 0 &&
	    memcmp(info.at + info.len - tail, what + n - tail, tail) != 0)
		return false;
	return tail == n ||
	    memcmp(script.at + script.len - (n - tail), what, n - tail) == 0;
}

/* Anything but a POST. */
static enum answer
service_get(struct service *s, const struct request *q, struct reply *r)
{
	struct span method = cgi_param(q, "REQUEST_METHOD");

	r->bodiless = span_is(method, "HEAD");
	if (!r->bodiless && !span_is(method, "GET"))
		return ANSWER_METHOD;
	if (service_path_ends_in(q, "/ready"))
		return status_ready(s, &r->body) ?
		    ANSWER_READY : ANSWER_UNREADY;
	if (!service_path_ends_in(q, "/metrics"))
		return ANSWER_HEALTH;
	status_metrics(s, &r->body);
	r->type = "text/plain; version=0.0.4; charset=utf-8";
	return ANSWER_METRICS;
}

static bool
service_is_post(const struct request *q)
{
	return span_is(cgi_param(q, "REQUEST_METHOD"), "POST");
}

static void
service_answer(void *arg, const struct request *q, struct reply *r,
    unsigned count)
{
	const struct request *post[REQUESTS_MOST];
	struct reply *post_reply[REQUESTS_MOST];
	enum answer answer[REQUESTS_MOST];
	struct service *s = arg;
	unsigned n = 0;

	assert(count <= REQUESTS_MOST);
	for (unsigned i = 0; i < count; i++) {
		r[i] = (struct reply){ .type = "application/json" };
		/* A CGI program answers even if it could not be set up. */
		if (s->spool == NULL) {
			answer_fill(&r[i], ANSWER_INTERNAL);
		} else if (service_is_post(&q[i])) {
			post[n] = &q[i];
			post_reply[n++] = &r[i];
		} else {
			answer_fill(&r[i], service_get(s, &q[i], &r[i]));
		}
	}
	if (n > 0)
		post_hooks(s, post, answer, n);
	for (unsigned i = 0; i < n; i++)
		answer_fill(post_reply[i], answer[i]);
}

/* To count the backlog may take long; a hook must not wait for it. */
static bool
service_alone(const struct request *q)
{
	return !service_is_post(q);
}

struct handler
service_handler(struct service *s)
{
	return (struct handler){ .answer = service_answer,
	    .alone = service_alone, .alive = status_alive, .arg = s };
}
