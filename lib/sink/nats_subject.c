#include "sink/nats_subject.h"

void
nats_subject_write(struct text *t, struct span workspace_id)
{
	static const char safe[] = "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";

	text_str(t, "sentry.observation.");
	for (size_t i = 0; i < workspace_id.len; i++) {
		const char *c = &workspace_id.at[i];

		text_add(t, *c != '\0' && strchr(safe, *c) != NULL ? c : "_",
		    1);
	}
}

/* What a pattern has behind tokens that match these `count`; ">" if that comes
 * earlier; NULL if they do not match. */
static const char *
behind_tokens(const char *pattern, const char *const *tokens, int count)
{
	for (int i = 0; i < count && strcmp(pattern, ">") != 0; i++) {
		struct span token = { pattern, strcspn(pattern, ".") };

		if (pattern[token.len] == '\0' ||
		    !(span_is(token, "*") || span_is(token, tokens[i])))
			return NULL;
		pattern += token.len + 1;
	}
	return pattern;
}

bool
nats_subject_fits(const char *pattern)
{
	static const char *const ours[] = { "sentry", "observation" };
	const char *rest = behind_tokens(pattern, ours, 2);

	return rest != NULL && (strcmp(rest, "*") == 0 ||
	    strcmp(rest, ">") == 0);
}

bool
nats_subject_takes_requests(const char *pattern)
{
	static const char *const api[] = { "$JS", "API", "STREAM", "INFO" };
	const char *rest = behind_tokens(pattern, api, 4);

	return rest != NULL && strchr(rest, '.') == NULL;
}
