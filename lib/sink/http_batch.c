#include "sink/http_batch.h"

#include <stdlib.h>

void
batch_start(struct batch *b, unsigned most_rows, size_t most_bytes,
    unsigned most_sent, unsigned alone)
{
	*b = (struct batch){ .most_rows = most_rows,
	    .most_bytes = most_bytes, .most_sent = most_sent, .alone = alone,
	    .few = most_rows };
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
		r->next = NULL;
		*l->tail = r;
		l->tail = &r->next;
	}
}

/* Where the first row stands of the lane that has the fewest groups on their
 * way, and fewer than `most`; NULL where there is none. */
static struct row **
choose(const struct batch *b, struct line *l, unsigned most)
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

/* As many rows of a lane, from `from` on, as may travel together. */
static struct group *
cut(const struct batch *b, struct line *l, struct row **from,
    unsigned most_rows)
{
	struct group *g = calloc(1, sizeof(*g));
	struct row **end, *r;
	size_t bytes = 0;

	if (g == NULL)
		return NULL;
	g->lane = (*from)->lane;
	end = &g->rows;
	if ((*from)->attempts >= b->alone)
		most_rows = 1;
	while ((r = *from) != NULL && g->count < most_rows) {
		if (r->lane != g->lane) {
			from = &r->next;
			continue;
		}
		bytes += r->envelope.len + 1;
		if (g->count > 0 && (bytes > b->most_bytes ||
		    r->attempts >= b->alone))
			break;
		g->count++;
		*from = r->next;
		if (r->next == NULL)
			l->tail = from;
		r->next = NULL;
		*end = r;
		end = &r->next;
	}
	return g;
}

static struct group *
next_fresh(struct batch *b)
{
	struct row **from = choose(b, &b->fresh, b->most_sent);

	return from == NULL ? NULL : cut(b, &b->fresh, from, b->most_rows);
}

static struct group *
next_tried(struct batch *b, unsigned most)
{
	struct row **from = NULL;
	struct group *g;

	if (b->sent_tried == 0 || b->sent_tried + 1 < b->most_sent)
		from = choose(b, &b->tried, most);
	if (from == NULL || (g = cut(b, &b->tried, from, b->few)) == NULL)
		return NULL;
	g->tried = true;
	return g;
}

static struct group *
next_half(struct batch *b)
{
	struct group *g = b->halves;

	if (g != NULL)
		b->halves = g->next;
	return g;
}

struct group *
batch_next(struct batch *b)
{
	struct group *g = next_half(b);

	/* Each lane's turn, then whoever is there. */
	if (g == NULL)
		g = next_tried(b, 1);
	if (g == NULL)
		g = next_fresh(b);
	if (g == NULL && b->most_sent > 3)
		g = next_tried(b, b->most_sent - 2);
	if (g == NULL)
		return NULL;
	g->next = NULL;
	b->sent[g->tried][g->lane]++;
	b->sent_tried += g->tried;
	return g;
}

void
batch_done(struct batch *b, unsigned lane, bool tried)
{
	b->sent[tried][lane]--;
	b->sent_tried -= tried;
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
batch_split(struct batch *b, struct group *g, unsigned at)
{
	struct group *other;
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

void
group_deliver(struct group *g, struct row **to, unsigned count)
{
	for (; count > 0; count--) {
		struct row *r = g->rows;

		g->rows = r->next;
		g->count--;
		row_judge(r, FATE_DELIVERED, span_of(""));
		r->next = *to;
		*to = r;
	}
}
