#include "answer.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "log.h"
#include "metrics.h"
#include "status.h"

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

static int64_t
clock_ms(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static struct span
param(const struct request *q, const char *name)
{
	return q->param(q->arg, name);
}

/* ---- a POST, step by step ---- */

struct post {
	struct service		*service;
	const struct request	*request;
	struct hook		 hook;
	struct receipt		*receipt;
	const char		*kept;	/* "database", "spool" or NULL */
	struct stored		 stored;
	enum fault		 fault;
};

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
read_body(struct post *p, char **bytes)
{
	size_t length, got;
	enum verdict v = body_length(param(p->request, "CONTENT_LENGTH"),
	    p->service->max_body, &length);

	*bytes = NULL;
	if (v != VERDICT_RECEIVED)
		return v;
	if ((*bytes = malloc(length + 1)) == NULL)
		return VERDICT_INTERNAL;
	got = p->request->read(p->request->arg, *bytes, length);
	p->hook.body = (struct span){ *bytes, got };
	return got == length ? VERDICT_RECEIVED : VERDICT_BAD_REQUEST;
}

/* The database, else the spool: 200 means that one of them has it on disk. */
static enum verdict
keep(struct post *p)
{
	struct service *s = p->service;
	enum fault f;

	p->fault = s->writer == NULL ? FAULT_STUCK : writer_put(s->writer,
	    p->receipt, s->commit_wait, &p->stored);
	if (p->fault == FAULT_NONE) {
		p->kept = "database";
		metrics_count(p->stored.duplicate ? METRIC_DUPLICATE :
		    METRIC_STORED);
		return VERDICT_RECEIVED;
	}
	if ((f = spool_put(s->spool, &p->receipt->hook)) == FAULT_NONE) {
		p->kept = "spool";
		metrics_count(METRIC_SPOOLED);
		return VERDICT_RECEIVED;
	}
	p->fault = f;
	metrics_count(METRIC_LOST);
	return VERDICT_INTERNAL;
}

/* What an authentic body is, and where it goes. Takes over `body`. */
static enum verdict
take(struct post *p, char *body)
{
	enum verdict v;
	enum outcome o;

	metrics_hook(p->hook.received_at);
	p->receipt = receipt_new(&p->hook, body, p->service->observe_list);
	if (p->receipt == NULL) {
		p->fault = FAULT_MEMORY;
		metrics_count(METRIC_LOST);
		return VERDICT_INTERNAL;
	}
	/* Before others see the receipt, whose observation may then change. */
	o = p->receipt->observation.outcome;
	if ((v = keep(p)) != VERDICT_RECEIVED)
		return v;
	if (o == OUTCOME_IGNORED)
		metrics_count(METRIC_IGNORED);
	if (o != OUTCOME_UNREADABLE)
		return v;
	metrics_count(METRIC_UNREADABLE);
	return VERDICT_UNREADABLE;
}

/* Authenticate, then look: nothing of the body is parsed before it is known
 * to be Sentry's. */
static enum verdict
receive(struct post *p, const struct key_loan *keys)
{
	struct span signature = param(p->request,
	    "HTTP_SENTRY_HOOK_SIGNATURE");
	enum verdict v;
	const char *secret;
	char *body;

	if (signature.at == NULL)
		signature = param(p->request, "HTTP_SENTRY_APP_SIGNATURE");
	p->hook.signature = signature;
	if (key_loan_count(keys) == 0)
		return VERDICT_NO_SECRET;
	v = verdict_of_signature(signature_form(signature));
	if (v != VERDICT_RECEIVED)
		return v;
	v = read_body(p, &body);
	if (v == VERDICT_RECEIVED)
		v = verdict_of_signature(key_loan_check(keys, signature,
		    p->hook.body, &secret));
	if (v != VERDICT_RECEIVED) {
		free(body);
		return v;
	}
	p->hook.secret_name = span_of(secret);
	return take(p, body);
}

static void
count_refused(enum verdict v)
{
	if (v == VERDICT_NO_SECRET)
		metrics_count(METRIC_UNCONFIGURED);
	else if (v == VERDICT_NO_SIGNATURE || v == VERDICT_SIGNATURE_LENGTH ||
	    v == VERDICT_SIGNATURE_INVALID)
		metrics_count(METRIC_UNAUTHENTIC);
	else if (v == VERDICT_BAD_REQUEST || v == VERDICT_TOO_LARGE)
		metrics_count(METRIC_MALFORMED);
}

static void
log_post(const struct post *p, enum verdict v, int64_t took)
{
	const struct observation *o = p->receipt == NULL ? NULL :
	    &p->receipt->observation;
	struct form form = form_of(v);
	struct log l;

	log_begin(&l, form.status == 200 ? "info" : "warning", "hook");
	log_int(&l, "status", form.status);
	log_span(&l, "resource", p->hook.resource);
	log_span(&l, "request_id", p->hook.request_id);
	log_int(&l, "bytes", (int64_t)p->hook.body.len);
	log_int(&l, "ms", took);
	log_str(&l, "error", form.error);
	if (p->kept != NULL)
		log_str(&l, "kept", p->kept);
	if (p->fault != FAULT_NONE)
		log_str(&l, "fault", fault_name(p->fault));
	log_span(&l, "secret", p->hook.secret_name);
	/* The observation is ours to read only once the writer is done with
	 * it; a spooled one may still be in its hands. */
	if (o != NULL && p->kept != NULL && p->fault == FAULT_NONE) {
		log_str(&l, "outcome", outcome_name(o->outcome));
		log_span(&l, "action", observation_get(o, OBSERVED_ACTION));
		log_span(&l, "installation",
		    observation_get(o, OBSERVED_INSTALLATION));
		log_span(&l, "event_id",
		    observation_get(o, OBSERVED_EVENT_ID));
		if (o->mismatch)
			log_span(&l, "taken_for",
			    observation_get(o, OBSERVED_RESOURCE));
		if (p->stored.duplicate)
			log_str(&l, "duplicate", "yes");
		if (p->stored.unmapped)
			log_str(&l, "unmapped", "yes");
	}
	log_end(&l);
}

static enum verdict
post(struct service *s, const struct request *q)
{
	int64_t from = clock_ms(CLOCK_MONOTONIC);
	struct post p = { .service = s, .request = q };
	struct key_loan keys;
	enum verdict v;

	p.hook.received_at = clock_ms(CLOCK_REALTIME);
	p.hook.resource = param(q, "HTTP_SENTRY_HOOK_RESOURCE");
	p.hook.timestamp = param(q, "HTTP_SENTRY_HOOK_TIMESTAMP");
	p.hook.request_id = param(q, "HTTP_REQUEST_ID");
	p.hook.idempotency_key = param(q, "HTTP_IDEMPOTENCY_KEY");
	keyring_borrow(s->keyring, &keys);
	v = receive(&p, &keys);
	count_refused(v);
	log_post(&p, v, clock_ms(CLOCK_MONOTONIC) - from);
	keyring_release(&keys);
	receipt_drop(p.receipt);
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

void
answer(struct service *s, const struct request *q, struct reply *r)
{
	struct span method = param(q, "REQUEST_METHOD");
	enum verdict v = VERDICT_METHOD;
	struct form form;

	*r = (struct reply){ .type = "application/json" };
	r->bodiless = span_is(method, "HEAD");
	if (span_is(method, "POST"))
		v = post(s, q);
	else if (span_is(method, "GET") || r->bodiless)
		v = get(s, q, r);
	form = form_of(v);
	r->status = form.status;
	r->reason = form.reason;
	r->allow = v == VERDICT_METHOD;
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

void
reply_write(struct text *t, const struct reply *r)
{
	text_str(t, "Status: ");
	text_int(t, r->status);
	text_str(t, " ");
	text_str(t, r->reason);
	text_str(t, "\r\nContent-Type: ");
	text_str(t, r->type);
	text_str(t, "\r\nContent-Length: ");
	text_int(t, (int64_t)r->body.len);
	text_str(t, "\r\nCache-Control: no-store\r\n");
	if (r->allow)
		text_str(t, "Allow: GET, HEAD, POST\r\n");
	text_str(t, "\r\n");
	if (!r->bodiless)
		text_span(t, text_view(&r->body));
}
