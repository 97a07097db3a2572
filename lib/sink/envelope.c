#include "sink/envelope.h"

#include "base/json_member.h"

void
envelope_write(struct text *t, const struct envelope *e)
{
	text_str(t, "{");
	json_member_string(t, "name",
	    span_of("apps-console/neural/observation.capture"));
	json_member_string(t, "id", e->event_id);
	json_member(t, "ts");
	text_int(t, e->received_at);
	json_member(t, "data");
	text_str(t, "{");
	json_member_string(t, "workspaceId", e->workspace_id);
	json_member_string(t, "storeId", e->store_id);
	json_member(t, "sourceEvent");
	text_span(t, e->source_event);
	text_str(t, "}}");
}

void
envelope_subject(struct text *t, struct span workspace_id)
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

bool
envelope_subject_fits(const char *pattern)
{
	static const char *const first[] = { "sentry", "observation" };

	for (int i = 0; i < 2 && strcmp(pattern, ">") != 0; i++) {
		size_t n = strcspn(pattern, ".");

		if (pattern[n] == '\0' || !(span_is((struct span){ pattern,
		    n }, "*") || span_is((struct span){ pattern, n },
		    first[i])))
			return false;
		pattern += n + 1;
	}
	return strcmp(pattern, "*") == 0 || strcmp(pattern, ">") == 0;
}
