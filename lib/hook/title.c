#include "hook/title.h"

#include "hook/pull_request.h"

const char *
title_level(struct span level)
{
	static const struct {
		const char *level, *emoji;
	} table[] = {
		{ "fatal", "\U0001F480" }, { "error", "\U0001F534" },
		{ "warning", "\U0001F7E1" }, { "info", "\U0001F535" },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (span_is(level, table[i].level))
			return table[i].emoji;
	return "\u26A0\uFE0F";
}

void
title_add(struct text *t, const char *lead, struct span title)
{
	text_str(t, lead);
	if (title.at == NULL)
		return;
	text_str(t, " ");
	text_span(t, title);
}

bool
title_add_by_action(struct text *t, const struct facts *f,
    const struct title_lead table[], struct span title)
{
	for (; table->action != NULL; table++)
		if (span_is(f->action, table->action)) {
			title_add(t, table->lead, title);
			return true;
		}
	return false;
}

void
title_add_plain(struct text *t, const struct facts *f, struct span title)
{
	text_str(t, "\u26A0\uFE0F [");
	text_span(t, f->name);
	if (f->action.len > 0) {
		text_str(t, " ");
		text_span(t, f->action);
	}
	text_str(t, "]");
	title_add(t, "", title);
}

/* The first title in the places of a body that may hold one. A place is a path
 * of names, which ends with a NULL. */
static struct span
title_of_body(struct json data)
{
	static const char *const places[][4] = {
		{ "issue", "title" }, { "event", "title" },
		{ "error", "title" }, { "description_title" },
		{ "metric_alert", "title" }, { "alert", "title" },
		{ "title" }, { "installation", "app", "slug" },
		{ "appInfo", "name" },
		{ "root_cause", "one_line_description" },
		{ "root_cause", "description" },	/* of 2025 */
		{ "solution", "one_line_summary" },
		{ "solution", "description" }, { "comment" },
	};

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		struct json v = data;

		for (size_t k = 0; places[i][k] != NULL; k++)
			v = json_get(v, places[i][k]);
		if (json_scalar(v).len > 0)
			return json_scalar(v);
	}
	return json_get_scalar(json_at(json_get(data, "changes"), 0),
	    "title");
}

void
title_found(struct text *t, const struct facts *f)
{
	struct span title = title_of_body(f->data);
	struct pull_request pull;

	if (title.len > 0)
		text_span(t, title);
	else if (pull_request_find_all(f, &pull, 1) > 0)
		pull_request_name(t, &pull);
}

void
title_add_found(struct text *t, const struct facts *f)
{
	struct text found = { 0 };

	title_found(&found, f);
	title_add_plain(t, f, span_filled(text_view(&found)));
	t->broken |= found.broken;
	text_release(&found);
}
