/* A .hook file: header lines, an empty line and the raw body. */
#ifndef HOOK_FILE_H
#define HOOK_FILE_H

#include <stdlib.h>

#include "hook/hook.h"
#include "hook/observe_list.h"

/* Takes a header line off the file's front. False behind the last one: what
 * is left then is the body. */
static inline bool
hook_file_line(struct span *file, struct span *name, struct span *value)
{
	const char *end = memchr(file->at, '\n', file->len);
	const char *colon = memchr(file->at, ':', file->len);

	if (end != NULL && colon != NULL && colon + 2 <= end) {
		*name = (struct span){ file->at, (size_t)(colon - file->at) };
		*value = (struct span){ colon + 2, (size_t)(end - colon - 2) };
		file->len -= (size_t)(end + 1 - file->at);
		file->at = end + 1;
		return true;
	}
	if (file->len > 0 && file->at[0] == '\n') {
		file->at++;
		file->len--;
	}
	return false;
}

struct hook_file {
	struct hook	hook;
	struct span	observe;	/* which hooks are observed */
	struct span	learned;	/* a release, or nothing */
};

/* Everything borrows from `file`, but for what it does not say. */
static inline void
hook_file_read(struct hook_file *f, struct span file)
{
	const struct {
		const char	*name;
		struct span	*to;
	} headers[] = {
		{ "Sentry-Hook-Resource", &f->hook.resource },
		{ "Sentry-Hook-Timestamp", &f->hook.timestamp },
		{ "Request-ID", &f->hook.request_id },
		{ "Idempotency-Key", &f->hook.idempotency_key },
		{ "Signature", &f->hook.signature },
		{ "Observe", &f->observe },
		{ "Learned-Release", &f->learned },
	};
	struct span name, value;
	char number[20] = "";

	*f = (struct hook_file){ .observe = span_of(OBSERVE_LIST_DEFAULT) };
	f->hook.signature = span_of("00000000000000000000000000000000"
	    "00000000000000000000000000000000");
	while (hook_file_line(&file, &name, &value)) {
		if (span_is(name, "Received") && value.len < sizeof(number)) {
			memcpy(number, value.at, value.len);
			number[value.len] = '\0';
		}
		f->hook.redact |= span_is(name, "Redact");
		for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]);
		    i++)
			if (span_is(name, headers[i].name))
				*headers[i].to = value;
	}
	f->hook.received_at = strtoll(number, NULL, 10);
	f->hook.body = file;
}

#endif
