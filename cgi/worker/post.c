#include "worker/answer.h"

#include <assert.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "server/memory.h"
#include "worker/metrics.h"
#include "worker/status.h"

#define LARGE_BYTES	65536	/* of a body: rare, and worth giving back */

enum verdict {
	VERDICT_HEALTH,
	VERDICT_READY,
	VERDICT_UNREADY,
	VERDICT_METRICS,
	VERDICT_RECEIVED,
	VERDICT_UNREADABLE,
	VERDICT_NO_SECRET,
	VERDICT_NO_SIGNATURE,
	VERDICT_SIGNATURE_LENGTH,
	VERDICT_SIGNATURE_INVALID,
	VERDICT_BAD_REQUEST,
	VERDICT_TOO_LARGE,
	VERDICT_METHOD,
	VERDICT_INTERNAL
};

/* A POST, and what is known of it so far. */
struct posting {
	struct service	*service;
	const struct request *request;
	struct hook	 hook;
	struct received	*received;	/* once it is authentic */
	struct stored	 stored;
	enum outcome	 outcome;
	const struct resource *resource;	/* as metrics count it */
	const char	*kept;		/* "database", "spool" or NULL */
	enum fault	 fault;
	int64_t		 from;		/* us, monotonic */
};

struct form {
	int		 status;
	const char	*reason;
	const char	*error;		/* its body is {"error":"..."} */
};

static const char health_body[] =
    "{\"status\":\"ok\",\"service\":\"sentry-webhooks\"}";
static const char received_body[] = "{\"received\":true}";

static struct form
form_of(enum verdict v)
{
	switch (v) {
	case VERDICT_HEALTH:
	case VERDICT_READY:
	case VERDICT_METRICS:
	case VERDICT_RECEIVED:
		return (struct form){ 200, "OK", NULL };
	case VERDICT_UNREADY:
		return (struct form){ 503, "Service Unavailable", NULL };
	case VERDICT_UNREADABLE:
		return (struct form){ 400, "Bad Request",
		    "Invalid JSON" };
	case VERDICT_NO_SECRET:
		return (struct form){ 500, "Internal Server Error",
		    "Webhook secret not configured" };
	case VERDICT_NO_SIGNATURE:
		return (struct form){ 401, "Unauthorized",
		    "Missing sentry-hook-signature header" };
	case VERDICT_SIGNATURE_LENGTH:
		return (struct form){ 401, "Unauthorized",
		    "Signature length mismatch" };
	case VERDICT_SIGNATURE_INVALID:
		return (struct form){ 401, "Unauthorized",
		    "Invalid signature" };
	case VERDICT_BAD_REQUEST:
		return (struct form){ 400, "Bad Request",
		    "Bad request" };
	case VERDICT_TOO_LARGE:
		return (struct form){ 413, "Content Too Large",
		    "Payload too large" };
	case VERDICT_METHOD:
		return (struct form){ 405, "Method Not Allowed",
		    "Method not allowed" };
	case VERDICT_INTERNAL:
		break;
	}
	return (struct form){ 500, "Internal Server Error",
	    "Internal server error" };
}

static struct span
param(const struct request *q, const char *name)
{
	return q->param(q->arg, name);
}

/* ---- the steps of a POST ---- */

static void
identify(struct posting *x)
{
	const struct request *q = x->request;
	struct span signature = param(q, "HTTP_SENTRY_HOOK_SIGNATURE");

	if (signature.at == NULL)
		signature = param(q, "HTTP_SENTRY_APP_SIGNATURE");
	x->from = clock_us();
	x->hook = (struct hook){
		.received_at = clock_wall_ms(),
		.signature = signature,
		.resource = param(q, "HTTP_SENTRY_HOOK_RESOURCE"),
		.timestamp = param(q, "HTTP_SENTRY_HOOK_TIMESTAMP"),
		.request_id = param(q, "HTTP_REQUEST_ID"),
		.idempotency_key = param(q, "HTTP_IDEMPOTENCY_KEY"),
		.redact = x->service->redact,
	};
	x->resource = resource_named(resource_header(&x->hook));
}

static enum verdict
verdict_of_signature(enum signature s)
{
	switch (s) {
	case SIGNATURE_VALID:
		return VERDICT_RECEIVED;
	case SIGNATURE_MISSING:
		return VERDICT_NO_SIGNATURE;
	case SIGNATURE_LENGTH:
		return VERDICT_SIGNATURE_LENGTH;
	case SIGNATURE_INVALID:
		break;
	}
	return VERDICT_SIGNATURE_INVALID;
}

/* CONTENT_LENGTH: digits and nothing else. */
static enum verdict
body_length(struct span s, size_t limit, size_t *length)
{
	*length = 0;
	if (s.len == 0)
		return VERDICT_BAD_REQUEST;
	for (size_t i = 0; i < s.len; i++)
		if (s.at[i] < '0' || s.at[i] > '9')
			return VERDICT_BAD_REQUEST;
	for (size_t i = 0; i < s.len; i++) {
		*length = *length * 10 + (size_t)(s.at[i] - '0');
		if (*length > limit)
			return VERDICT_TOO_LARGE;
	}
	return VERDICT_RECEIVED;
}

/* Reads the body into *bytes, which is malloc'd. */
static enum verdict
read_body(struct posting *x, char **bytes)
{
	const struct request *q = x->request;
	size_t length, got;
	enum verdict v = body_length(param(q, "CONTENT_LENGTH"),
	    x->service->max_body, &length);

	if (v != VERDICT_RECEIVED)
		return v;
	if ((*bytes = malloc(length + 1)) == NULL)
		return VERDICT_INTERNAL;
	got = q->read(q->arg, *bytes, length);
	x->hook.body = (struct span){ *bytes, got };
	return got == length ? VERDICT_RECEIVED : VERDICT_BAD_REQUEST;
}

/* What an authentic body is. The receipt has copies of all that goes with the
 * request, or with the loan of the keys. */
static enum verdict
observe_it(struct posting *x, char **body)
{
	metrics_hook(x->hook.received_at);
	x->received = received_new(&x->hook, *body, x->service->observe_list);
	*body = NULL;
	if (x->received == NULL) {
		x->fault = FAULT_MEMORY;
		metrics_count(x->resource, METRIC_LOST);
		return VERDICT_INTERNAL;
	}
	/* Before the writer sees the observation, which may then change. */
	x->outcome = x->received->observation.outcome;
	x->resource = resource_named(observation_get(
	    &x->received->observation, OBSERVED_RESOURCE));
	return VERDICT_RECEIVED;
}

/* Nothing of the body is looked at before it is known to be Sentry's; of a
 * request whose signature has not even the form of one it is not read. */
static enum verdict
authenticate(struct posting *x, char **body)
{
	struct span signature = x->hook.signature;
	struct keyring_loan keys;
	const char *secret = NULL;
	enum verdict v = VERDICT_NO_SECRET;

	keyring_borrow(x->service->keyring, &keys);
	if (keyring_loan_count(&keys) > 0)
		v = verdict_of_signature(signature_form(signature));
	if (v == VERDICT_RECEIVED)
		v = read_body(x, body);
	if (v == VERDICT_RECEIVED)
		v = verdict_of_signature(keyring_loan_check(&keys, signature,
		    x->hook.body, &secret));
	if (v == VERDICT_RECEIVED) {
		x->hook.secret_name = span_of(secret);
		keyring_loan_used(&keys, secret, x->hook.received_at);
		v = observe_it(x, body);
	}
	keyring_release(&keys);
	x->hook.secret_name = (struct span){ NULL, 0 };
	return v;
}

static enum metric
metric_of_stored(const struct posting *x)
{
	if (x->stored.duplicate)
		return x->stored.differs ? METRIC_DIFFERENT :
		    METRIC_DUPLICATE;
	return x->outcome == OUTCOME_OBSERVED ? METRIC_STORED :
	    x->outcome == OUTCOME_IGNORED ? METRIC_IGNORED :
	    METRIC_UNREADABLE;
}

/* It is in the database, or else goes to the spool: 200 means that one of them
 * has it on disk. */
static enum verdict
keep(struct posting *x)
{
	enum metric m = METRIC_SPOOLED;
	enum fault f;

	if (x->fault == FAULT_NONE) {
		x->kept = "database";
		m = metric_of_stored(x);
	} else if ((f = spool_put(x->service->spool, &x->received->hook)) ==
	    FAULT_NONE) {
		x->kept = "spool";
	} else {
		x->fault = f;
		metrics_count(x->resource, METRIC_LOST);
		return VERDICT_INTERNAL;
	}
	metrics_count(x->resource, m);
	metrics_kept(clock_us() - x->from);
	return x->outcome == OUTCOME_UNREADABLE ? VERDICT_UNREADABLE :
	    VERDICT_RECEIVED;
}

/* By the resource that the request claims to be about. */
static void
count_refused(const struct resource *r, enum verdict v)
{
	if (v == VERDICT_NO_SECRET)
		metrics_count(r, METRIC_UNCONFIGURED);
	else if (v == VERDICT_NO_SIGNATURE || v == VERDICT_SIGNATURE_LENGTH ||
	    v == VERDICT_SIGNATURE_INVALID)
		metrics_count(r, METRIC_UNAUTHENTIC);
	else if (v == VERDICT_BAD_REQUEST || v == VERDICT_TOO_LARGE)
		metrics_count(r, METRIC_MALFORMED);
}

static void
log_observation(struct log *l, const struct posting *x)
{
	const struct observation *o = &x->received->observation;

	assert(x->received != NULL);	/* what was kept has one */
	log_str(l, "outcome", outcome_name(o->outcome));
	log_span(l, "action", observation_get(o, OBSERVED_ACTION));
	log_span(l, "installation", observation_get(o, OBSERVED_INSTALLATION));
	log_span(l, "event_id", observation_get(o, OBSERVED_EVENT_ID));
	if (o->mismatch)
		log_span(l, "taken_for",
		    observation_get(o, OBSERVED_RESOURCE));
	if (x->stored.duplicate)
		log_str(l, "duplicate", x->stored.differs ?
		    "differs" : "yes");
	if (x->stored.unmapped)
		log_str(l, "unmapped", "yes");
}

static void
log_hook(const struct posting *x, struct form form)
{
	const struct hook *h = x->received == NULL ? &x->hook :
	    &x->received->hook;
	struct log l;

	log_begin(&l, form.status == 200 ? "info" : "warning", "hook");
	log_int(&l, "status", form.status);
	log_span(&l, "resource", h->resource);
	log_span(&l, "request_id", h->request_id);
	log_int(&l, "bytes", (int64_t)h->body.len);
	log_int(&l, "ms", (clock_us() - x->from) / 1000);
	log_str(&l, "error", form.error);
	if (x->kept != NULL)
		log_str(&l, "kept", x->kept);
	if (x->fault != FAULT_NONE)
		log_str(&l, "fault", fault_name(x->fault));
	log_span(&l, "secret", h->secret_name);
	/* The writer may still have a spooled one in its hands. */
	if (x->kept != NULL && x->fault == FAULT_NONE)
		log_observation(&l, x);
	if (x->received == NULL && x->fault == FAULT_NONE)
		log_end_stranger(&l);
	else
		log_end(&l);
}

/* ---- what an operator asks ---- */

/* Whether SCRIPT_NAME + PATH_INFO ends so; it may be cut anywhere. */
static bool
ends_in(const struct request *q, const char *what)
{
	struct span script = param(q, "SCRIPT_NAME");
	struct span info = param(q, "PATH_INFO");
	size_t n = strlen(what), tail = info.len < n ? info.len : n;

	if (script.len + info.len < n)
		return false;
	if (tail > 0 &&
	    memcmp(info.at + info.len - tail, what + n - tail, tail) != 0)
		return false;
	return tail == n ||
	    memcmp(script.at + script.len - (n - tail), what, n - tail) == 0;
}

static enum verdict
ask(struct service *s, const struct request *q, struct reply *r)
{
	struct span method = param(q, "REQUEST_METHOD");

	r->bodiless = span_is(method, "HEAD");
	if (!r->bodiless && !span_is(method, "GET"))
		return VERDICT_METHOD;
	if (ends_in(q, "/ready"))
		return status_ready(s, &r->body) ?
		    VERDICT_READY : VERDICT_UNREADY;
	if (!ends_in(q, "/metrics"))
		return VERDICT_HEALTH;
	status_metrics(s, &r->body);
	r->type = "text/plain; version=0.0.4; charset=utf-8";
	return VERDICT_METRICS;
}

/* ---- the reply ---- */

static void
fill(struct reply *r, enum verdict v)
{
	struct form form = form_of(v);

	r->status = form.status;
	r->reason = form.reason;
	if (v == VERDICT_METHOD)
		r->headers = "Allow: GET, HEAD, POST\r\n";
	if (form.error != NULL) {
		text_str(&r->body, "{\"error\":");
		text_json(&r->body, span_of(form.error));
		text_str(&r->body, "}");
	} else if (v == VERDICT_HEALTH) {
		text_str(&r->body, health_body);
	} else if (v == VERDICT_RECEIVED) {
		text_str(&r->body, received_body);
	}
}

/* ---- the way of hooks, from bytes to rows ---- */

/* Verifies and observes each, writes down all that are authentic in one go, or
 * spools them, and says what became of each. */
static void
post(struct posting *x, enum verdict *v, unsigned count)
{
	struct commit_request deposits[REQUESTS_MOST];
	struct service *s = x[0].service;
	unsigned n = 0;

	for (unsigned i = 0; i < count; i++) {
		char *body = NULL;

		identify(&x[i]);
		v[i] = authenticate(&x[i], &body);
		free(body);
		if (v[i] == VERDICT_RECEIVED)
			deposits[n++].received = x[i].received;
	}
	if (s->writer != NULL && n > 0)
		writer_put(s->writer, deposits, n, s->commit_wait);
	n = 0;
	for (unsigned i = 0; i < count; i++) {
		if (v[i] == VERDICT_RECEIVED) {
			x[i].fault = s->writer == NULL ? FAULT_STUCK :
			    deposits[n].fault;
			x[i].stored = deposits[n++].stored;
			v[i] = keep(&x[i]);
		} else {
			count_refused(x[i].resource, v[i]);
		}
		log_hook(&x[i], form_of(v[i]));
		received_drop(x[i].received);
		if (x[i].hook.body.len > LARGE_BYTES)
			memory_freed();
	}
}

static bool
is_post(const struct request *q)
{
	return span_is(param(q, "REQUEST_METHOD"), "POST");
}

static void
answer(void *service, const struct request *q, struct reply *r,
    unsigned count)
{
	struct posting x[REQUESTS_MOST];
	enum verdict v[REQUESTS_MOST];
	unsigned hook[REQUESTS_MOST], n = 0;
	struct service *s = service;

	assert(count <= REQUESTS_MOST);
	for (unsigned i = 0; i < count; i++) {
		r[i] = (struct reply){ .type = "application/json" };
		/* As CGI even a service that could not be set up answers. */
		if (s->spool == NULL) {
			fill(&r[i], VERDICT_INTERNAL);
		} else if (is_post(&q[i])) {
			x[n] = (struct posting){ .service = s,
			    .request = &q[i] };
			hook[n++] = i;
		} else {
			fill(&r[i], ask(s, &q[i], &r[i]));
		}
	}
	if (n > 0)
		post(x, v, n);
	for (unsigned i = 0; i < n; i++)
		fill(&r[hook[i]], v[i]);
}

/* An operator's questions may take long. */
static bool
alone(const struct request *q)
{
	return !is_post(q);
}

struct handler
answer_handler(struct service *s)
{
	return (struct handler){ .answer = answer, .alone = alone,
	    .moves = status_moves, .arg = s };
}
