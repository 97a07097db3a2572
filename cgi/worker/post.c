#include "worker/post.h"

#include <stdlib.h>

#include "base/ascii.h"
#include "base/clock.h"
#include "base/log.h"
#include "server/heap.h"
#include "worker/metrics.h"

/*
 * The way of hooks that came together. post_hooks(), at the end of this file,
 * goes these steps with them:
 *
 * 1. post_read_headers(): what the request says of itself, which nobody has
 *    signed.
 * 2. post_verify(): reads the body and compares its signature. Nothing of the
 *    body is looked at before that.
 * 3. post_observe(): received_new() copies the headers, takes over the body,
 *    redacts it with --redact, and makes the observation. The hook is authentic
 *    by now: a failure to keep it is a loss, and is counted as one.
 * 4. writer_put(): hands all hooks to the writer's thread, and waits until they
 *    are committed, `commit_wait` ms at most. Mostly one commit has all of
 *    them; but not if the transaction is full before (128 hooks, or 1 MiB of
 *    bodies), or if the schema refuses one of them (writer_commit.c).
 * 5. post_keep(): a hook that the database did not take in time goes to the
 *    spool. Only if neither has it, the answer is 500.
 * 6. post_count() and post_log(): one metric and one line for each.
 */

#define LARGE_BODY	65536	/* bytes; heap_trim() gives them back */

/* A POST, and what is known of it so far. */
struct post {
	struct service	*service;
	const struct request *request;
	struct hook	 hook;
	char		*body;			/* hook.body's bytes, ours */
	char		 secret[SECRET_NAME_MAX + 1];
	struct received	*received;		/* since step 3, or NULL */
	enum outcome	 outcome;		/* likewise */
	const struct resource *resource;	/* by which it is counted */
	bool		 mismatch;	/* and for which it was taken */
	struct stored	 stored;		/* since step 4 */
	enum fault	 fault;			/* why not in the database */
	const char	*kept;			/* where it is, or NULL */
	int64_t		 since;			/* us, monotonic */
};

/* ---- 1: what the request says of itself ---- */

static void
post_read_headers(struct post *x, struct service *s, const struct request *q)
{
	struct span signature = cgi_param(q, "HTTP_SENTRY_HOOK_SIGNATURE");

	if (signature.at == NULL)
		signature = cgi_param(q, "HTTP_SENTRY_APP_SIGNATURE");
	*x = (struct post){ .service = s, .request = q, .since = clock_us() };
	x->hook = (struct hook){
		.received_at = clock_wall_ms(),
		.signature = signature,
		.resource = cgi_param(q, "HTTP_SENTRY_HOOK_RESOURCE"),
		.timestamp = cgi_param(q, "HTTP_SENTRY_HOOK_TIMESTAMP"),
		.request_id = cgi_param(q, "HTTP_REQUEST_ID"),
		.idempotency_key = cgi_param(q, "HTTP_IDEMPOTENCY_KEY"),
		.redact = s->redact,
	};
	x->resource = resource_named(resource_header(&x->hook));
}

/* ---- 2: the signature ---- */

static enum answer
post_answer_of_signature(enum signature s)
{
	switch (s) {
	case SIGNATURE_VALID:
		return ANSWER_RECEIVED;
	case SIGNATURE_MISSING:
		return ANSWER_NO_SIGNATURE;
	case SIGNATURE_LENGTH:
		return ANSWER_SIGNATURE_LENGTH;
	case SIGNATURE_INVALID:
		break;
	}
	return ANSWER_SIGNATURE_INVALID;
}

/* CONTENT_LENGTH: digits and nothing else. */
static enum answer
post_body_length(struct span s, size_t limit, size_t *length)
{
	bool fits;
	int64_t n;

	for (size_t i = 0; i < s.len; i++)
		if (!ascii_is_digit(s.at[i]))
			return ANSWER_BAD_REQUEST;
	fits = span_take_number(&s, (int64_t)limit, &n);
	*length = (size_t)n;
	return fits ? ANSWER_RECEIVED : s.len > 0 ? ANSWER_TOO_LARGE :
	    ANSWER_BAD_REQUEST;
}

static enum answer
post_read_body(struct post *x)
{
	const struct request *q = x->request;
	size_t length, got;
	enum answer a = post_body_length(cgi_param(q, "CONTENT_LENGTH"),
	    x->service->max_body, &length);

	if (a != ANSWER_RECEIVED)
		return a;
	if ((x->body = malloc(length + 1)) == NULL)
		return ANSWER_INTERNAL;
	got = q->read(q->arg, x->body, length);
	x->hook.body = (struct span){ x->body, got };
	return got == length ? ANSWER_RECEIVED : ANSWER_BAD_REQUEST;
}

/* Does not read the body if there is no secret, or if the signature is not of
 * 64 hex digits: such a hook is refused by its headers. */
static enum answer
post_verify(struct post *x)
{
	struct span signature = x->hook.signature;
	struct keyring *keys = x->service->keyring;
	enum answer a = ANSWER_NO_SECRET;

	keyring_refresh(keys);
	if (keyring_count(keys) > 0)
		a = post_answer_of_signature(signature_form(signature));
	if (a == ANSWER_RECEIVED)
		a = post_read_body(x);
	if (a == ANSWER_RECEIVED)
		a = post_answer_of_signature(keyring_check(keys, signature,
		    x->hook.body, x->hook.received_at, x->secret));
	if (a == ANSWER_RECEIVED) {
		metrics_hook(x->hook.received_at);
		x->hook.secret_name = span_of(x->secret);
	}
	return a;
}

/* ---- 3: what it is about ---- */

static enum answer
post_observe(struct post *x)
{
	const struct observation *o;

	x->received = received_new(&x->hook, x->body,
	    x->service->observe_list);
	x->body = NULL;		/* received_new() has it, or has freed it */
	if (x->received == NULL) {
		x->fault = FAULT_MEMORY;
		return ANSWER_INTERNAL;
	}
	/* These are looked at now: the writer may change the observation. */
	o = &x->received->observation;
	x->outcome = o->outcome;
	x->resource = resource_named(observation_get(o, OBSERVED_RESOURCE));
	x->mismatch = o->mismatch;
	return ANSWER_RECEIVED;
}

/* ---- 5: the database has it, or the spool ---- */

static enum answer
post_keep(struct post *x, const struct commit_request *commit)
{
	enum fault f;

	x->stored = commit->stored;
	x->fault = commit->fault;
	if (x->fault == FAULT_NONE) {
		x->kept = "database";
	} else if ((f = spool_put(x->service->spool, &x->received->hook)) ==
	    FAULT_NONE) {
		x->kept = "spool";
	} else {
		x->fault = f;
		return ANSWER_INTERNAL;
	}
	metrics_kept(clock_us() - x->since);
	return x->outcome == OUTCOME_UNREADABLE ? ANSWER_UNREADABLE :
	    ANSWER_RECEIVED;
}

/* ---- 6: what is said of it ---- */

static enum metric
post_metric_of_stored(const struct post *x)
{
	if (x->stored.duplicate)
		return x->stored.differs ? METRIC_DIFFERENT :
		    METRIC_DUPLICATE;
	return x->outcome == OUTCOME_OBSERVED ? METRIC_STORED :
	    x->outcome == OUTCOME_IGNORED ? METRIC_IGNORED :
	    METRIC_UNREADABLE;
}

static void
post_count(const struct post *x, enum answer a)
{
	enum metric m;

	if (x->kept != NULL)
		m = x->fault == FAULT_NONE ? post_metric_of_stored(x) :
		    METRIC_SPOOLED;
	else if (x->fault != FAULT_NONE)
		m = METRIC_LOST;
	else if (a == ANSWER_INTERNAL)
		return;		/* no memory for what may be anybody's */
	else if (a == ANSWER_NO_SECRET)
		m = METRIC_UNCONFIGURED;
	else if (a == ANSWER_BAD_REQUEST || a == ANSWER_TOO_LARGE)
		m = METRIC_MALFORMED;
	else
		m = METRIC_UNAUTHENTIC;
	metrics_count(x->resource, m);
}

static void
post_log_observation(struct log *l, const struct post *x)
{
	const struct observation *o = &x->received->observation;

	log_str(l, "outcome", outcome_name(o->outcome));
	log_span(l, "action", observation_get(o, OBSERVED_ACTION));
	log_span(l, "installation", observation_get(o, OBSERVED_INSTALLATION));
	log_span(l, "event_id", observation_get(o, OBSERVED_EVENT_ID));
	if (x->stored.duplicate)
		log_str(l, "duplicate", x->stored.differs ?
		    "differs" : "yes");
	if (x->stored.unmapped)
		log_str(l, "unmapped", "yes");
}

static void
post_log(const struct post *x, struct answer_form form)
{
	const struct hook *h = x->received == NULL ? &x->hook :
	    &x->received->hook;
	struct log l;

	log_begin(&l, form.status == 200 ? "info" : "warning", "hook");
	log_int(&l, "status", form.status);
	log_span(&l, "resource", h->resource);
	log_span(&l, "request_id", h->request_id);
	log_int(&l, "bytes", (int64_t)h->body.len);
	log_int(&l, "ms", (clock_us() - x->since) / 1000);
	log_str(&l, "error", form.error);
	log_str(&l, "kept", x->kept);
	if (x->fault != FAULT_NONE)
		log_str(&l, "fault", fault_name(x->fault));
	log_span(&l, "secret", h->secret_name);
	if (x->mismatch)
		log_str(&l, "taken_for", x->resource->name);
	/* Of a spooled one the writer may be changing the observation still. */
	if (x->kept != NULL && x->fault == FAULT_NONE)
		post_log_observation(&l, x);
	if (x->received == NULL && x->fault == FAULT_NONE)
		log_end_stranger(&l);
	else
		log_end(&l);
}

/* ---- the whole way ---- */

void
post_hooks(struct service *s, const struct request *const *request,
    enum answer *answer, unsigned count)
{
	struct post x[REQUESTS_MOST];
	struct commit_request commit[REQUESTS_MOST];
	unsigned n = 0;

	for (unsigned i = 0; i < count; i++) {
		post_read_headers(&x[i], s, request[i]);	/* 1 */
		answer[i] = post_verify(&x[i]);			/* 2 */
		if (answer[i] == ANSWER_RECEIVED)
			answer[i] = post_observe(&x[i]);	/* 3 */
		free(x[i].body);
		if (answer[i] == ANSWER_RECEIVED)
			commit[n++] = (struct commit_request){
			    .received = x[i].received, .fault = FAULT_STUCK };
	}
	if (s->writer != NULL && n > 0)
		writer_put(s->writer, commit, n, s->commit_wait); /* 4 */
	n = 0;
	for (unsigned i = 0; i < count; i++) {
		if (answer[i] == ANSWER_RECEIVED)
			answer[i] = post_keep(&x[i], &commit[n++]); /* 5 */
		post_count(&x[i], answer[i]);			/* 6 */
		post_log(&x[i], answer_form(answer[i]));
		received_drop(x[i].received);
		if (x[i].hook.body.len > LARGE_BODY)
			heap_note_large_free();
	}
}
