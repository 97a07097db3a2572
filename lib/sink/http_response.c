#include "sink/http_response.h"

#include <stdlib.h>
#include <strings.h>

#include "base/json.h"

#define BYTE_ORDER_MARK	"\xef\xbb\xbf"
#define WORDS_BYTES	4096	/* of an answer, as the reason */

static bool
begins_with(struct span s, const char *word)
{
	size_t n = strlen(word);

	return s.len >= n && strncasecmp(s.at, word, n) == 0;
}

static bool
is_html(struct span type, struct span body)
{
	static const char *const words[] = { "<!doctype html", "<html",
	    "<head", "<body", "<!--" };
	bool html = begins_with(type, "text/html") ||
	    begins_with(type, "application/xhtml");

	if (begins_with(body, BYTE_ORDER_MARK)) {
		body.at += strlen(BYTE_ORDER_MARK);
		body.len -= strlen(BYTE_ORDER_MARK);
	}
	body = span_trimmed(body);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		html |= begins_with(body, words[i]);
	return html;
}

/* Whether it says that all events that were sent were taken. */
static bool
inngest_took_all(struct json root, unsigned sent)
{
	struct json status = json_get(root, "status");
	bool good = status.kind == JSON_INT &&
	    span_is(json_scalar(status), "200");

	return !json_truthy(json_get(root, "error")) && (good ||
	    (status.kind != JSON_INT && sent > 0 &&
	    json_count(json_get(root, "ids")) == sent));
}

long
http_response_status(long status, struct span type, struct span body,
    bool inngest, unsigned sent)
{
	struct json root;
	int rc;

	if (status < 200 || status > 299)
		return status;
	if (!inngest)
		return is_html(type, body) ? HTTP_RESPONSE_FOREIGN : status;
	if ((rc = json_open(&root, body)) != 0)
		return rc < 0 ? HTTP_RESPONSE_STRANGE : HTTP_RESPONSE_FOREIGN;
	if (!inngest_took_all(root, sent))
		status = HTTP_RESPONSE_FOREIGN;
	json_close(&root);
	return status;
}

long
http_response_taken(struct span body)
{
	struct json root, ids;
	long taken = -1;

	if (json_open(&root, body) != 0)
		return -1;
	ids = json_get(root, "ids");
	if (ids.kind == JSON_ARRAY)
		taken = (long)json_count(ids);
	json_close(&root);
	return taken;
}

void
http_response_words(struct text *t, long status, long meant, struct span body)
{
	struct json root;
	struct span error = { NULL, 0 };
	bool open = json_open(&root, body) == 0;

	if (open)
		error = json_string(json_get(root, "error"));
	text_str(t, "HTTP ");
	text_int(t, status);
	if (meant == HTTP_RESPONSE_FOREIGN && meant != status) {
		text_str(t, ", but not the answer of an event API");
	} else if (meant != status) {
		text_str(t, ", but no success (");
		text_int(t, meant);
		text_str(t, ")");
	}
	if (error.len == 0)
		error = body;
	if (error.len > WORDS_BYTES)
		error.len = WORDS_BYTES;
	if (error.len > 0) {
		text_str(t, ": ");
		text_span(t, error);
	}
	if (open)
		json_close(&root);
}

/* The secrets are searched in a copy: one may begin in the middle of another,
 * and one that is made of stars would be found again and again. */
void
http_response_hide(struct text *t, char *const *secrets, unsigned count)
{
	struct text said = { 0 };

	text_span(&said, text_view(t));
	for (unsigned i = 0; i < count && said.len > 0; i++) {
		size_t n = strlen(secrets[i]);
		const char *at = said.at, *end = said.at + said.len;

		while (n > 0 && (at = memmem(at, (size_t)(end - at),
		    secrets[i], n)) != NULL)
			memset(t->at + (at++ - said.at), '*', n);
	}
	/* Without memory for the copy nothing is shown. */
	if (said.broken)
		t->len = 0;
	text_release(&said);
}
