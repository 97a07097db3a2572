#include "sink/http_batch.h"

#include <limits.h>
#include <stdlib.h>

void
http_batch_start(struct http_batch *b, unsigned most_rows, size_t most_bytes,
    unsigned most_sent, unsigned alone_after)
{
	*b = (struct http_batch){ .most_rows = most_rows,
	    .most_bytes = most_bytes, .most_sent = most_sent,
	    .alone_after = alone_after, .tried_rows = most_rows };
	row_list_start(&b->fresh);
	row_list_start(&b->tried);
}

void
http_batch_release(struct http_batch *b)
{
	struct http_group *g;

	while ((g = b->halves) != NULL) {
		b->halves = g->next;
		http_group_free(g);
	}
	row_free_all(b->fresh.first);
	row_free_all(b->tried.first);
}

void
http_batch_add(struct http_batch *b, struct row *rows)
{
	struct row *r;

	while ((r = rows) != NULL) {
		rows = r->next;
		row_list_add(r->attempts > 0 ? &b->tried : &b->fresh, r);
	}
}

/* Chooses the lane that has the fewest groups in flight, and fewer than `most`.
 * Returns where the lane's first row is linked in the list, or NULL. */
static struct row **
choose_row(const struct http_batch *b, struct row_list *l, unsigned most)
{
	struct row **best = NULL;

	for (struct row **p = &l->first; *p != NULL && most > 0;
	    p = &(*p)->next) {
		unsigned sent = b->sent[1][(*p)->lane];
		unsigned all = sent + b->sent[0][(*p)->lane];

		if (l == &b->fresh)
			sent = all;
		if (sent < most && all < b->most_sent) {
			best = p;
			most = sent;
		}
	}
	return best;
}

/* Takes as many rows out of the list as may travel together: of one lane, from
 * the row at *from on. */
static struct http_group *
cut_group(const struct http_batch *b, struct row_list *l, struct row **from,
    unsigned most_rows)
{
	struct http_group *g = calloc(1, sizeof(*g));
	struct row **end, *r;
	size_t bytes = 0;

	if (g == NULL)
		return NULL;
	g->lane = (*from)->lane;
	end = &g->rows;
	if ((*from)->attempts >= b->alone_after)
		most_rows = 1;
	while ((r = *from) != NULL && g->count < most_rows) {
		if (r->lane != g->lane) {
			from = &r->next;
			continue;
		}
		bytes += r->envelope.len + 1;
		if (g->count > 0 && (bytes > b->most_bytes ||
		    r->attempts >= b->alone_after))
			break;
		g->count++;
		*from = r->next;
		if (r->next == NULL)
			l->end = from;
		r->next = NULL;
		*end = r;
		end = &r->next;
	}
	return g;
}

/* The next group of fresh or of tried rows, of a lane that has fewer than
 * `most` of these in flight; NULL if there is none. */
static struct http_group *
next_group(struct http_batch *b, bool tried, unsigned most)
{
	struct row_list *l = tried ? &b->tried : &b->fresh;
	struct row **from;
	struct http_group *g;

	if (tried && b->sent_tried > 0 && b->sent_tried + 1 >= b->most_sent)
		return NULL;
	if ((from = choose_row(b, l, most)) == NULL || (g = cut_group(b, l,
	    from, tried ? b->tried_rows : b->most_rows)) == NULL)
		return NULL;
	g->tried = tried;
	return g;
}

/* The next part of a group that was split, of a lane that has not all requests
 * that it may have. */
static struct http_group *
next_half(struct http_batch *b)
{
	struct http_group *g, **from = &b->halves;

	while ((g = *from) != NULL && b->sent[false][g->lane] +
	    b->sent[true][g->lane] >= b->most_sent)
		from = &g->next;
	if (g != NULL)
		*from = g->next;
	return g;
}

struct http_group *
http_batch_next(struct http_batch *b)
{
	struct http_group *g;

	/* A lane gets its first group of tried rows before all fresh rows, and
	 * more of them only when no fresh row may leave. */
	if ((g = next_half(b)) == NULL &&
	    (g = next_group(b, true, 1)) == NULL &&
	    (g = next_group(b, false, b->most_sent)) == NULL &&
	    b->most_sent > 3)
		g = next_group(b, true, b->most_sent - 2);
	if (g == NULL)
		return NULL;
	g->next = NULL;
	b->sent[g->tried][g->lane]++;
	b->sent_tried += g->tried;
	return g;
}

void
http_batch_done(struct http_batch *b, unsigned lane, bool tried)
{
	b->sent[tried][lane]--;
	b->sent_tried -= tried;
}

void
http_batch_learn(struct http_batch *b, const struct http_group *g, bool taken)
{
	if (!taken)
		b->tried_rows = 1;
	else if (g->tried && b->tried_rows < b->most_rows)
		b->tried_rows = b->tried_rows * 2 < b->most_rows ?
		    b->tried_rows * 2 : b->most_rows;
}

bool
http_batch_split(struct http_batch *b, struct http_group *g, unsigned at)
{
	struct http_group *other;
	struct row **end = &g->rows;

	g->next = b->halves;
	if (at >= g->count) {
		b->halves = g;
		return true;
	}
	if ((other = calloc(1, sizeof(*other))) == NULL)
		return false;
	for (unsigned i = 0; i < at; i++)
		end = &(*end)->next;
	other->rows = *end;
	*end = NULL;
	other->count = g->count - at;
	other->tried = g->tried;
	other->lane = g->lane;
	g->count = at;
	other->next = b->halves;
	g->next = other;
	b->halves = g;
	return true;
}

void
http_group_write(struct text *t, const struct http_group *g)
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
http_group_free(struct http_group *g)
{
	row_free_all(g->rows);
	free(g);
}

/* Moves the first `count` rows, or all that are there, to the list *to. */
static void
group_take(struct http_group *g, struct row **to, unsigned count,
    enum fate fate, int64_t after_ms, struct span why)
{
	struct row *r;

	while ((r = g->rows) != NULL && count-- > 0) {
		g->rows = r->next;
		g->count--;
		row_set_fate(r, fate, why);
		r->after_ms = after_ms;
		r->next = *to;
		*to = r;
	}
}

void
http_group_set_fate(struct http_group *g, struct row **to, enum fate fate,
    int64_t after_ms, struct span why)
{
	group_take(g, to, UINT_MAX, fate, after_ms, why);
	free(g);
}

void
http_group_deliver(struct http_group *g, struct row **to, unsigned count)
{
	group_take(g, to, count, FATE_DELIVERED, 0, span_of(""));
}
