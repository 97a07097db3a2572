#include "answer.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>

#include "log.h"
#include "memory.h"
#include "metrics.h"
#include "status.h"

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
	VERDICT_INTERNAL,
	VERDICT_PENDING		/* no answer yet */
};

/* What is known of a request; most of it is a POST's, step by step. */
struct posting {
	struct exchange	 exchange;
	struct service	*service;
	struct hook	 hook;
	struct receipt	*receipt;
	struct waiting	 waiting;
	enum outcome	 outcome;
	enum resource	 resource;	/* as metrics count it */
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
	case VERDICT_PENDING:
		break;
	}
	return (struct form){ 500, "Internal Server Error",
	    "Internal server error" };
}

static int64_t
clock_us(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static struct span
param(const struct request *q, const char *name)
{
	return q->param(q->arg, name);
}

/* ---- a POST, step by step ---- */

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
read_body(struct posting *x, const struct request *q, char **bytes)
{
	size_t length, got;
	enum verdict v = body_length(param(q, "CONTENT_LENGTH"),
	    x->service->max_body, &length);

	*bytes = NULL;
	if (v != VERDICT_RECEIVED)
		return v;
	if ((*bytes = malloc(length + 1)) == NULL)
		return VERDICT_INTERNAL;
	got = q->read(q->arg, *bytes, length);
	x->hook.body = (struct span){ *bytes, got };
	return got == length ? VERDICT_RECEIVED : VERDICT_BAD_REQUEST;
}

static enum metric
metric_of_stored(const struct posting *x)
{
	if (x->waiting.stored.duplicate)
		return x->waiting.stored.differs ? METRIC_DIFFERENT :
		    METRIC_DUPLICATE;
	return x->outcome == OUTCOME_OBSERVED ? METRIC_STORED :
	    x->outcome == OUTCOME_IGNORED ? METRIC_IGNORED :
	    METRIC_UNREADABLE;
}

/* The database has it, or else the spool takes it: 200 means that one of them
 * has it on disk. */
static enum verdict
keep(struct posting *x)
{
	enum fault f;

	if (x->fault == FAULT_NONE) {
		x->kept = "database";
		metrics_count(x->resource, metric_of_stored(x));
	} else if ((f = spool_put(x->service->spool, &x->receipt->hook)) ==
	    FAULT_NONE) {
		x->kept = "spool";
		metrics_count(x->resource, METRIC_SPOOLED);
	} else {
		x->fault = f;
		metrics_count(x->resource, METRIC_LOST);
		return VERDICT_INTERNAL;
	}
	metrics_kept(clock_us(CLOCK_MONOTONIC) - x->from);
	return x->outcome == OUTCOME_UNREADABLE ? VERDICT_UNREADABLE :
	    VERDICT_RECEIVED;
}

/* On the writer's thread, or at once. What did not become a row is spooled
 * next, which takes a sync. */
static void
on_written(struct waiting *w)
{
	struct posting *x = (struct posting *)(void *)((char *)w -
	    offsetof(struct posting, waiting));

	x->exchange.slow = w->fault != FAULT_NONE;
	x->exchange.done(&x->exchange);
}

/* What an authentic body is, and where it goes. Takes over `body`. */
static enum verdict
take(struct posting *x, char *body)
{
	struct service *s = x->service;
	enum fault f;

	metrics_hook(x->hook.received_at);
	x->receipt = receipt_new(&x->hook, body, s->observe_list);
	/* The name goes with the loan of the keys; a receipt has a copy. */
	x->hook.secret_name = (struct span){ NULL, 0 };
	if (x->receipt == NULL) {
		x->fault = FAULT_MEMORY;
		metrics_count(x->resource, METRIC_LOST);
		return VERDICT_INTERNAL;
	}
	/* Before others see the receipt, whose observation may then change. */
	x->outcome = x->receipt->observation.outcome;
	x->resource = hook_resource_named(observation_get(
	    &x->receipt->observation, OBSERVED_RESOURCE));
	x->waiting.receipt = x->receipt;
	f = s->writer == NULL ? FAULT_STUCK :
	    writer_put(s->writer, &x->waiting);
	if (f != FAULT_NONE) {		/* else x may be another thread's now */
		x->waiting.fault = f;
		on_written(&x->waiting);
	}
	return VERDICT_PENDING;
}

/* Authenticate, then look: nothing of the body is parsed before it is known
 * to be Sentry's. */
static enum verdict
receive(struct posting *x, const struct request *q,
    const struct key_loan *keys)
{
	struct span signature = param(q, "HTTP_SENTRY_HOOK_SIGNATURE");
	enum verdict v;
	const char *secret;
	char *body;

	if (signature.at == NULL)
		signature = param(q, "HTTP_SENTRY_APP_SIGNATURE");
	x->hook.signature = signature;
	if (key_loan_count(keys) == 0)
		return VERDICT_NO_SECRET;
	v = verdict_of_signature(signature_form(signature));
	if (v != VERDICT_RECEIVED)
		return v;
	v = read_body(x, q, &body);
	if (v == VERDICT_RECEIVED)
		v = verdict_of_signature(key_loan_check(keys, signature,
		    x->hook.body, &secret));
	if (v != VERDICT_RECEIVED) {
		free(body);
		return v;
	}
	x->hook.secret_name = span_of(secret);
	key_loan_used(keys, secret, x->hook.received_at);
	return take(x, body);
}

/* By the resource that the request claims to be about. */
static void
count_refused(enum resource r, enum verdict v)
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
	const struct observation *o = &x->receipt->observation;

	assert(x->receipt != NULL);	/* what was kept has one */
	log_str(l, "outcome", outcome_name(o->outcome));
	log_span(l, "action", observation_get(o, OBSERVED_ACTION));
	log_span(l, "installation", observation_get(o, OBSERVED_INSTALLATION));
	log_span(l, "event_id", observation_get(o, OBSERVED_EVENT_ID));
	if (o->mismatch)
		log_span(l, "taken_for",
		    observation_get(o, OBSERVED_RESOURCE));
	if (x->waiting.stored.duplicate)
		log_str(l, "duplicate", x->waiting.stored.differs ?
		    "differs" : "yes");
	if (x->waiting.stored.unmapped)
		log_str(l, "unmapped", "yes");
}

static void
log_hook(const struct posting *x, struct form form)
{
	const struct hook *h = x->receipt == NULL ? &x->hook :
	    &x->receipt->hook;
	struct log l;

	log_begin(&l, form.status == 200 ? "info" : "warning", "hook");
	log_int(&l, "status", form.status);
	log_span(&l, "resource", h->resource);
	log_span(&l, "request_id", h->request_id);
	log_int(&l, "bytes", (int64_t)h->body.len);
	log_int(&l, "ms", (clock_us(CLOCK_MONOTONIC) - x->from) / 1000);
	log_str(&l, "error", form.error);
	if (x->kept != NULL)
		log_str(&l, "kept", x->kept);
	if (x->fault != FAULT_NONE)
		log_str(&l, "fault", fault_name(x->fault));
	log_span(&l, "secret", h->secret_name);
	/* The observation is ours to read only once the writer is done with
	 * it; a spooled one may still be in its hands. */
	if (x->kept != NULL && x->fault == FAULT_NONE)
		log_observation(&l, x);
	log_end(&l);
}

static enum verdict
post(struct posting *x, const struct request *q)
{
	struct key_loan keys;
	enum verdict v;

	x->from = clock_us(CLOCK_MONOTONIC);
	x->hook.received_at = clock_us(CLOCK_REALTIME) / 1000;
	x->hook.resource = param(q, "HTTP_SENTRY_HOOK_RESOURCE");
	x->hook.timestamp = param(q, "HTTP_SENTRY_HOOK_TIMESTAMP");
	x->hook.request_id = param(q, "HTTP_REQUEST_ID");
	x->hook.idempotency_key = param(q, "HTTP_IDEMPOTENCY_KEY");
	x->hook.redact = x->service->redact;
	x->resource = hook_resource_named(hook_resource_header(&x->hook));
	keyring_borrow(x->service->keyring, &keys);
	v = receive(x, q, &keys);
	keyring_release(&keys);
	return v;
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
get(struct service *s, const struct request *q, struct reply *r)
{
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

static void
fill_hook(struct posting *x, enum verdict v)
{
	count_refused(x->resource, v);
	fill(&x->exchange.reply, v);
	log_hook(x, form_of(v));
}

/* ---- the handler ---- */

static struct posting *
posting_of(struct exchange *x)
{
	return (struct posting *)(void *)x;	/* its first member */
}

static bool
begin(struct exchange *exchange, void *service, const struct request *q)
{
	struct posting *x = posting_of(exchange);
	struct span method = param(q, "REQUEST_METHOD");
	enum verdict v = VERDICT_METHOD;

	*x = (struct posting){ .exchange.done = exchange->done,
	    .service = service, .waiting.done = on_written };
	exchange->reply.type = "application/json";
	exchange->reply.bodiless = span_is(method, "HEAD");
	/* As CGI even a service that could not be set up gives an answer. */
	if (x->service->spool == NULL) {
		fill(&exchange->reply, VERDICT_INTERNAL);
		return true;
	}
	if (span_is(method, "POST")) {
		if ((v = post(x, q)) == VERDICT_PENDING)
			return false;
		fill_hook(x, v);
		return true;
	}
	if (span_is(method, "GET") || exchange->reply.bodiless)
		v = get(service, q, &exchange->reply);
	fill(&exchange->reply, v);
	return true;
}

static bool
withdraw(struct exchange *exchange)
{
	struct posting *x = posting_of(exchange);

	if (!writer_withdraw(x->service->writer, &x->waiting))
		return false;
	exchange->slow = true;
	return true;
}

static void
finish(struct exchange *exchange)
{
	struct posting *x = posting_of(exchange);

	x->fault = x->waiting.fault;
	fill_hook(x, keep(x));
}

static void
release(struct exchange *exchange)
{
	struct posting *x = posting_of(exchange);
	bool large = x->hook.body.len > LARGE_BYTES;

	receipt_drop(x->receipt);
	text_release(&exchange->reply.body);
	x->receipt = NULL;
	if (large)
		memory_give_back();
}

struct handler
answer_handler(struct service *s)
{
	return (struct handler){ .size = sizeof(struct posting),
	    .begin = begin, .withdraw = withdraw, .finish = finish,
	    .release = release, .patience = s->commit_wait,
	    .moves = status_moves, .arg = s };
}
