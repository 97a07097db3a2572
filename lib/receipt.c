#include "receipt.h"

#include <stdlib.h>

#define HEADER_MAX	256	/* bytes of a header that are kept */

static void
keep_header(struct text *t, struct span s)
{
	for (size_t i = 0; i < s.len && i < HEADER_MAX; i++)
		text_add(t, s.at[i] >= 0x20 && s.at[i] < 0x7f ?
		    &s.at[i] : "?", 1);
}

/* The headers one behind the other, and then, when they no longer move, the
 * spans into them. */
static bool
keep_headers(struct receipt *r)
{
	struct span *headers[] = { &r->hook.resource, &r->hook.timestamp,
	    &r->hook.request_id, &r->hook.idempotency_key,
	    &r->hook.signature, &r->hook.secret_name };
	size_t i, at = 0, n = sizeof(headers) / sizeof(headers[0]);

	for (i = 0; i < n; i++)
		keep_header(&r->headers, *headers[i]);
	text_add(&r->headers, "", 1);	/* there is always a byte to point at */
	if (r->headers.broken)
		return false;
	for (i = 0; i < n; i++) {
		if (headers[i]->at == NULL)
			continue;
		headers[i]->at = r->headers.at + at;
		if (headers[i]->len > HEADER_MAX)
			headers[i]->len = HEADER_MAX;
		at += headers[i]->len;
	}
	return true;
}

struct receipt *
receipt_new(const struct hook *hook, char *body, struct span observe_list)
{
	struct receipt *r = calloc(1, sizeof(*r));

	if (r == NULL) {
		free(body);
		return NULL;
	}
	r->hook = *hook;
	r->body = body;
	r->refs = 1;
	if (!keep_headers(r) ||
	    observe(&r->observation, &r->hook, observe_list) != 0) {
		receipt_drop(r);
		return NULL;
	}
	return r;
}

struct receipt *
receipt_hold(struct receipt *r)
{
	__atomic_add_fetch(&r->refs, 1, __ATOMIC_RELAXED);
	return r;
}

void
receipt_drop(struct receipt *r)
{
	if (r == NULL || __atomic_sub_fetch(&r->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	observation_release(&r->observation);
	text_release(&r->headers);
	free(r->body);
	free(r);
}
