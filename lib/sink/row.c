#include "sink/row.h"

#include <stdlib.h>

struct row *
row_new(void)
{
	return calloc(1, sizeof(struct row));
}

void
row_free(struct row *r)
{
	text_release(&r->workspace_id);
	text_release(&r->envelope);
	free(r);
}

void
row_free_all(struct row *r)
{
	while (r != NULL) {
		struct row *next = r->next;

		row_free(r);
		r = next;
	}
}

void
row_set_fate(struct row *r, enum fate fate, struct span why)
{
	size_t i;

	r->fate = fate;
	for (i = 0; i < why.len && i < sizeof(r->why) - 1; i++)
		r->why[i] = why.at[i] < 0x20 || why.at[i] > 0x7e ? '?' :
		    why.at[i];
	r->why[i] = '\0';
}

uint32_t
row_hash(struct span s)
{
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < s.len; i++)
		hash = (hash ^ (unsigned char)s.at[i]) * 16777619u;
	return hash;
}

unsigned
row_lane(struct span workspace_id)
{
	uint32_t hash = row_hash(workspace_id);

	return (hash ^ hash >> 16) % ROW_LANES;
}

void
row_list_start(struct row_list *l)
{
	l->first = NULL;
	l->end = &l->first;
}

void
row_list_add(struct row_list *l, struct row *r)
{
	r->next = NULL;
	*l->end = r;
	l->end = &r->next;
}
