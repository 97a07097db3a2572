#include "store/received.h"

#include <stdlib.h>

#include "hook/redact.h"

#define KEPT_HEADER_MAX	256	/* bytes of a header that are kept */

static void
keep_header(struct text *t, struct span s)
{
	for (size_t i = 0; i < s.len && i < KEPT_HEADER_MAX; i++)
		text_add(t, s.at[i] >= 0x20 && s.at[i] < 0x7f ?
		    &s.at[i] : "?", 1);
}

/* Copies all headers into one text. Only then, when the text does not move any
 * more, the hook's spans are set to the copies. */
static bool
keep_headers(struct received *r)
{
	struct span *headers[] = { &r->hook.resource, &r->hook.timestamp,
	    &r->hook.request_id, &r->hook.idempotency_key,
	    &r->hook.signature, &r->hook.secret_name };
	size_t i, at = 0, n = sizeof(headers) / sizeof(headers[0]);

	for (i = 0; i < n; i++)
		keep_header(&r->headers, *headers[i]);
	text_add(&r->headers, "", 1);	/* an empty header needs an address */
	if (r->headers.broken)
		return false;
	for (i = 0; i < n; i++) {
		if (headers[i]->at == NULL)
			continue;
		headers[i]->at = r->headers.at + at;
		if (headers[i]->len > KEPT_HEADER_MAX)
			headers[i]->len = KEPT_HEADER_MAX;
		at += headers[i]->len;
	}
	return true;
}

/* Two deliveries are the same when the bytes that were signed are: the key is
 * made of those before they are redacted. Its hash is kept alone: an alert's
 * name stands in the key, say, and may be personal. */
static bool
keep_key(struct received *r, struct span key)
{
	text_span(&r->key, key);
	r->hook.dedupe_key = text_view(&r->key);
	return !r->key.broken;
}

static bool
redact_body(struct received *r, struct span observe_list)
{
	struct text body = { 0 };
	struct observation o;
	bool good = observation_make(&o, &r->hook, observe_list) == 0;
	int rc = 1;

	if (good)
		good = keep_key(r, span_behind(observation_get(&o,
		    OBSERVED_EVENT_ID), sizeof("sentry-") - 1));
	if (good && o.outcome != OUTCOME_UNREADABLE)
		rc = redact(&body, r->hook.body);
	if (good && rc > 0) {
		body.len = 0;
		redact_unreadable(&body, r->hook.body);
	}
	observation_release(&o);
	if (!good || rc < 0 || body.broken) {
		text_release(&body);
		return false;
	}
	free(r->body);
	r->body = body.at;
	r->hook.body = text_view(&body);
	return true;
}

struct received *
received_new(const struct hook *hook, char *body, struct span observe_list)
{
	struct received *r = calloc(1, sizeof(*r));

	if (r == NULL) {
		free(body);
		return NULL;
	}
	r->hook = *hook;
	r->body = body;
	r->refs = 1;
	if (!keep_headers(r) || (hook->dedupe_key.at != NULL ?
	    !keep_key(r, hook->dedupe_key) :
	    hook->redact && !redact_body(r, observe_list)) ||
	    observation_make(&r->observation, &r->hook, observe_list) != 0) {
		received_drop(r);
		return NULL;
	}
	return r;
}

struct received *
received_hold(struct received *r)
{
	__atomic_add_fetch(&r->refs, 1, __ATOMIC_RELAXED);
	return r;
}

void
received_drop(struct received *r)
{
	if (r == NULL || __atomic_sub_fetch(&r->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	observation_release(&r->observation);
	text_release(&r->headers);
	text_release(&r->key);
	free(r->body);
	free(r);
}
