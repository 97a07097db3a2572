#include "hook/body_line.h"

void
body_line_start(struct text *t)
{
	if (t->len > 0)
		text_str(t, "\n");
}

void
body_line_add(struct text *t, const char *label, struct span value,
    const char *behind)
{
	if (value.at == NULL)
		return;
	body_line_start(t);
	text_str(t, label);
	text_span(t, value);
	text_str(t, behind);
}

void
body_line_add_filled(struct text *t, const char *label, struct span value,
    const char *behind)
{
	body_line_add(t, label, span_filled(value), behind);
}

void
body_line_add_member(struct text *t, const char *label, struct json v,
    const char *name)
{
	body_line_add_filled(t, label, json_get_scalar(v, name), "");
}

void
body_line_add_pair(struct text *t, const char *label, struct span a,
    struct span b)
{
	if (a.len == 0 || b.len == 0) {
		body_line_add_filled(t, label, a.len > 0 ? a : b, "");
		return;
	}
	body_line_add(t, label, a, ": ");
	text_span(t, b);
}

void
body_line_cut(struct text *t, size_t limit)
{
	size_t fit = text_fit_bytes(text_view(t), limit);

	if (fit == t->len)
		return;
	t->len = fit;
	text_str(t, TEXT_ELLIPSIS);
}
