#include "backfill/match.h"

#include <stdlib.h>

#define SAME_MS		120000	/* between a change and its hook */
/* Sentry sends thrice, five minutes apart, and its clock ticks in seconds. */
#define RESENT_MS	960000

/* `archived` is what `ignored` is called for some. */
static bool
match_action(const struct change *c, const struct match_hook *h)
{
	return strcmp(c->action, h->action) == 0 ||
	    (strcmp(c->action, "ignored") == 0 &&
	    strcmp(h->action, "archived") == 0);
}

/* The unused hook that is nearest in time; NULL if none is near enough. */
static struct match_hook *
match_nearest(const struct change *c, struct match_hook *hooks, size_t count,
    int64_t early, int64_t late)
{
	struct match_hook *best = NULL;
	bool created = strcmp(c->action, "created") == 0;

	for (size_t i = 0; i < count; i++) {
		int64_t after = hooks[i].at - c->at;

		if (hooks[i].used || !match_action(c, &hooks[i]) ||
		    (!created && (after < -early || after > late)))
			continue;
		if (best == NULL || llabs(after) < llabs(best->at - c->at))
			best = &hooks[i];
	}
	return best;
}

void
match_hooks(bool came[], const struct change_list *l,
    struct match_hook *hooks, size_t count)
{
	for (size_t i = 0; i < l->count; i++)
		came[i] = false;
	for (int again = 0; again < 2; again++)
		for (size_t i = 0; i < l->count; i++) {
			const struct change *c = &l->change[i];
			struct match_hook *h;

			if (came[i] || c->action == NULL)
				continue;
			h = match_nearest(c, hooks, count, again ? 0 : SAME_MS,
			    again ? RESENT_MS : SAME_MS);
			came[i] = h != NULL;
			if (h != NULL)
				h->used = true;
		}
}
