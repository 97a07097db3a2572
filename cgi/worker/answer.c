#include "worker/answer.h"

/* No default: a new answer does not compile until it has a status. */
struct answer_form
answer_form(enum answer a)
{
	switch (a) {
	case ANSWER_HEALTH:
	case ANSWER_READY:
	case ANSWER_METRICS:
	case ANSWER_RECEIVED:
		return (struct answer_form){ 200, "OK", NULL };
	case ANSWER_UNREADY:
		return (struct answer_form){ 503, "Service Unavailable",
		    NULL };
	case ANSWER_UNREADABLE:
		return (struct answer_form){ 400, "Bad Request",
		    "Invalid JSON" };
	case ANSWER_NO_SECRET:
		return (struct answer_form){ 500, "Internal Server Error",
		    "Webhook secret not configured" };
	case ANSWER_NO_SIGNATURE:
		return (struct answer_form){ 401, "Unauthorized",
		    "Missing sentry-hook-signature header" };
	case ANSWER_SIGNATURE_LENGTH:
		return (struct answer_form){ 401, "Unauthorized",
		    "Signature length mismatch" };
	case ANSWER_SIGNATURE_INVALID:
		return (struct answer_form){ 401, "Unauthorized",
		    "Invalid signature" };
	case ANSWER_BAD_REQUEST:
		return (struct answer_form){ 400, "Bad Request",
		    "Bad request" };
	case ANSWER_TOO_LARGE:
		return (struct answer_form){ 413, "Content Too Large",
		    "Payload too large" };
	case ANSWER_METHOD:
		return (struct answer_form){ 405, "Method Not Allowed",
		    "Method not allowed" };
	case ANSWER_INTERNAL:
		break;
	}
	return (struct answer_form){ 500, "Internal Server Error",
	    "Internal server error" };
}

void
answer_fill(struct reply *r, enum answer a)
{
	struct answer_form form = answer_form(a);

	r->status = form.status;
	r->reason = form.reason;
	if (a == ANSWER_METHOD)
		r->headers = "Allow: GET, HEAD, POST\r\n";
	if (form.error != NULL) {
		text_str(&r->body, "{\"error\":");
		text_json(&r->body, span_of(form.error));
		text_str(&r->body, "}");
	} else if (a == ANSWER_HEALTH) {
		text_str(&r->body,
		    "{\"status\":\"ok\",\"service\":\"sentry-webhooks\"}");
	} else if (a == ANSWER_RECEIVED) {
		text_str(&r->body, "{\"received\":true}");
	}
}
