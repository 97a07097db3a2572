#include "batch.h"

#include <stdlib.h>

#define FEW_ROWS	10
#define TRIES_TO_FEW	2	/* failed attempts until it travels with few */
#define TRIES_TO_ONE	4

void
batch_start(struct batch *b, unsigned most_rows, size_t most_bytes)
{
	*b = (struct batch){ .most_rows = most_rows,
	    .most_bytes = most_bytes };
	b->tail = &b->fresh;
}

void
batch_release(struct batch *b)
{
	struct group *g;

	while ((g = b->halves) != NULL) {
		b->halves = g->next;
		group_free(g);
	}
	row_free_all(b->fresh);
}

void
batch_add(struct batch *b, struct row *rows)
{
	*b->tail = rows;
	for (; *b->tail != NULL; b->tail = &(*b->tail)->next)
		b->count++;
}

/* How many rows may travel with this one. */
static unsigned
company(const struct batch *b, const struct row *r)
{
	unsigned most = r->attempts < TRIES_TO_FEW ? b->most_rows :
	    r->attempts < TRIES_TO_ONE ? FEW_ROWS : 1;

	return most < b->most_rows ? most : b->most_rows;
}

static struct group *
next_half(struct batch *b)
{
	struct group *g = b->halves;

	b->halves = g->next;
	g->next = NULL;
	return g;
}

struct group *
batch_next(struct batch *b)
{
	struct row **end = &b->fresh;
	struct group *g;
	unsigned most;
	size_t bytes = 0;

	if (b->halves != NULL) {
		g = next_half(b);
		b->count -= g->count;
		return g;
	}
	if (b->fresh == NULL || (g = calloc(1, sizeof(*g))) == NULL)
		return NULL;
	for (most = company(b, b->fresh); *end != NULL && g->count < most;
	    end = &(*end)->next) {
		bytes += (*end)->envelope.len + 1;
		if (g->count > 0 && (bytes > b->most_bytes ||
		    company(b, *end) <= g->count))
			break;
		g->count++;
	}
	g->rows = b->fresh;
	b->fresh = *end;
	*end = NULL;
	b->count -= g->count;
	if (b->fresh == NULL)
		b->tail = &b->fresh;
	return g;
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
