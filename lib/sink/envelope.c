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
