#include "response.h"

#include <stdlib.h>

#include "json.h"

#define WORDS_MAX	4096	/* bytes of an answer that may be words */

long
response_status(long status, struct span body, bool inngest)
{
	struct json root, inside;

	if (status < 200 || status > 299 || body.len == 0)
		return status;
	if (json_open(&root, body) != 0)
		return inngest ? RESPONSE_STRANGE : status;
	inside = json_get(root, "status");
	if (inside.kind == JSON_INT && !span_is(json_scalar(inside), "200")) {
		status = strtol(json_scalar(inside).at, NULL, 10);
		if (status < 300 || status > 599)
			status = RESPONSE_STRANGE;
	} else if (json_truthy(json_get(root, "error"))) {
		status = RESPONSE_STRANGE;
	}
	json_close(&root);
	return status;
}

void
response_words(struct text *t, long status, long meant, struct span body)
{
	struct json root;
	struct span error = { NULL, 0 };
	bool open = json_open(&root, body) == 0;

	if (open)
		error = json_string(json_get(root, "error"));
	text_str(t, "HTTP ");
	text_int(t, status);
	if (meant != status) {
		text_str(t, ", but no success (");
		text_int(t, meant);
		text_str(t, ")");
	}
	if (error.len == 0)
		error = body;
	if (error.len > WORDS_MAX)
		error.len = WORDS_MAX;
	if (error.len > 0) {
		text_str(t, ": ");
		text_span(t, error);
	}
	if (open)
		json_close(&root);
}

/* They are looked for in a copy: one may begin in the middle of another, and
 * one made of stars would be found for ever. */
void
response_hide(struct text *t, char *const *secrets, unsigned count)
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
	/* Rather no words than a secret. */
	if (said.broken)
		t->len = 0;
	text_release(&said);
}
