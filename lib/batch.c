#include "batch.h"

#include <stdlib.h>

void
batch_start(struct batch *b, unsigned most_rows, size_t most_bytes,
    unsigned alone)
{
	*b = (struct batch){ .most_rows = most_rows,
	    .most_bytes = most_bytes, .alone = alone, .few = most_rows };
	b->fresh.tail = &b->fresh.first;
	b->tried.tail = &b->tried.first;
}

void
batch_release(struct batch *b)
{
	struct group *g;

	while ((g = b->halves) != NULL) {
		b->halves = g->next;
		group_free(g);
	}
	row_free_all(b->fresh.first);
	row_free_all(b->tried.first);
}

void
batch_add(struct batch *b, struct row *rows)
{
	struct row *r;

	while ((r = rows) != NULL) {
		struct line *l = r->attempts > 0 ? &b->tried : &b->fresh;

		rows = r->next;
		b->count += l == &b->fresh;
		r->next = NULL;
		*l->tail = r;
		l->tail = &r->next;
	}
}

static struct group *
next_half(struct batch *b)
{
	struct group *g = b->halves;

	b->halves = g->next;
	g->next = NULL;
	b->count -= g->count;
	return g;
}

/* As many rows from the head of a line as may travel together. */
static struct group *
cut(const struct batch *b, struct line *l, unsigned most_rows)
{
	struct group *g = calloc(1, sizeof(*g));
	struct row **end = &l->first;
	size_t bytes = 0;

	if (g == NULL)
		return NULL;
	if (l->first->attempts >= b->alone)
		most_rows = 1;
	do {
		bytes += (*end)->envelope.len + 1;
		if (g->count > 0 && (bytes > b->most_bytes ||
		    (*end)->attempts >= b->alone))
			break;
		g->count++;
		end = &(*end)->next;
	} while (*end != NULL && g->count < most_rows);
	g->rows = l->first;
	l->first = *end;
	*end = NULL;
	if (l->first == NULL)
		l->tail = &l->first;
	return g;
}

struct group *
batch_next(struct batch *b, bool tried)
{
	struct group *g;

	if (b->halves != NULL)
		return next_half(b);
	if (tried && b->tried.first != NULL) {
		if ((g = cut(b, &b->tried, b->few)) != NULL)
			g->tried = true;
		return g;
	}
	if (b->fresh.first == NULL ||
	    (g = cut(b, &b->fresh, b->most_rows)) == NULL)
		return NULL;
	b->count -= g->count;
	return g;
}

void
batch_learn(struct batch *b, const struct group *g, bool taken)
{
	if (!taken)
		b->few = 1;
	else if (g->tried && b->few < b->most_rows)
		b->few = b->few * 2 < b->most_rows ? b->few * 2 :
		    b->most_rows;
}

bool
batch_split(struct batch *b, struct group *g)
{
	struct group *other = calloc(1, sizeof(*other));
	struct row **end = &g->rows;

	if (other == NULL)
		return false;
	b->count += g->count;
	for (unsigned i = 0; i < g->count / 2; i++)
		end = &(*end)->next;
	other->rows = *end;
	*end = NULL;
	other->count = g->count - g->count / 2;
	other->tried = g->tried;
	g->count /= 2;
	other->next = b->halves;
	g->next = other;
	b->halves = g;
	return true;
}

void
group_write(struct text *t, const struct group *g)
{
	text_str(t, "[");
	for (const struct row *r = g->rows; r != NULL; r = r->next) {
		if (r != g->rows)
			text_str(t, ",");
		text_span(t, text_view(&r->envelope));
	}
	text_str(t, "]");
}

void
group_free(struct group *g)
{
	row_free_all(g->rows);
	free(g);
}

void
group_judge(struct group *g, struct row **to, enum fate fate,
    int64_t after_ms, struct span why)
{
	struct row *r;

	while ((r = g->rows) != NULL) {
		g->rows = r->next;
		row_judge(r, fate, why);
		r->after_ms = after_ms;
		r->next = *to;
		*to = r;
	}
	free(g);
}
