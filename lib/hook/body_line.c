#include "hook/body_line.h"

void
line_start(struct text *t)
{
	if (t->len > 0)
		text_str(t, "\n");
}

void
line_add(struct text *t, const char *label, struct span value,
    const char *behind)
{
	if (value.at == NULL)
		return;
	line_start(t);
	text_str(t, label);
	text_span(t, value);
	text_str(t, behind);
}

void
line_filled(struct text *t, const char *label, struct span value,
    const char *behind)
{
	line_add(t, label, span_filled(value), behind);
}

void
line_pair(struct text *t, const char *label, struct span a, struct span b)
{
	if (a.len == 0 || b.len == 0) {
		line_filled(t, label, a.len > 0 ? a : b, "");
		return;
	}
	line_add(t, label, a, ": ");
	text_span(t, b);
}

void
line_cut(struct text *t, size_t limit)
{
	size_t fit = text_fit_bytes(text_view(t), limit);

	if (fit == t->len)
		return;
	t->len = fit;
	text_str(t, TEXT_ELLIPSIS);
}
