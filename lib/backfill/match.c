#include "backfill/match.h"

#include <stdlib.h>

#define SAME_MS		120000	/* between a change and its hook */
/* Sentry sends thrice, five minutes apart, and its clock ticks in seconds. */
#define RESENT_MS	960000

/* How far a hook may be from its change. */
struct match_reach {
	int64_t	early, late;	/* ms */
};

/* `archived` is what `ignored` is called for some. */
static bool
match_action(const struct change *c, const struct match_hook *h)
{
	return strcmp(c->action, h->action) == 0 ||
	    (strcmp(c->action, "ignored") == 0 &&
	    strcmp(h->action, "archived") == 0);
}

static bool
match_assignee(const struct change *c, const struct match_hook *h)
{
	struct span id = json_get_scalar(json_get(c->activity, "data"),
	    "assignee");

	return !c->assigns || id.len == 0 || h->assignee[0] == '\0' ||
	    span_is(id, h->assignee);
}

static int64_t
match_distance(const struct change *c, const struct match_hook *h)
{
	return llabs(h->at - c->at);
}

/* The unused hook that is nearest in time; NULL if none is near enough. */
static struct match_hook *
match_nearest(const struct change *c, struct match_hook *hooks, size_t count,
    const struct match_reach *reach)
{
	struct match_hook *best = NULL;
	bool created = strcmp(c->action, "created") == 0;

	for (size_t i = 0; i < count; i++) {
		struct match_hook *h = &hooks[i];
		int64_t after = h->at - c->at;

		if (h->used || (!created && (after < -reach->early ||
		    after > reach->late)) || !match_action(c, h) ||
		    !match_assignee(c, h))
			continue;
		if (best == NULL || match_distance(c, h) <
		    match_distance(c, best))
			best = h;
	}
	return best;
}

/* Marks the change and the hook that are nearest of all as found; false if
 * there is none. near[i] is the hook that is nearest to the change: it is
 * looked for again only once another change has got it. */
static bool
match_pair(bool came[], struct match_hook *near[],
    const struct change_list *l, struct match_hook *hooks, size_t count,
    const struct match_reach *reach)
{
	size_t best = l->count;

	for (size_t i = 0; i < l->count; i++) {
		const struct change *c = &l->change[i];

		if (came[i] || near[i] == NULL)
			continue;
		if (near[i]->used)
			near[i] = match_nearest(c, hooks, count, reach);
		if (near[i] != NULL && (best == l->count ||
		    match_distance(c, near[i]) <
		    match_distance(&l->change[best], near[best])))
			best = i;
	}
	if (best == l->count)
		return false;
	came[best] = near[best]->used = true;
	return true;
}

void
match_hooks(bool came[], const struct change_list *l,
    struct match_hook *hooks, size_t count)
{
	static const struct match_reach reaches[] = {
		{ SAME_MS, SAME_MS }, { 0, RESENT_MS } };
	struct match_hook *near[CHANGES_MAX + 1];

	for (size_t i = 0; i < l->count; i++)
		came[i] = false;
	for (int again = 0; again < 2; again++) {
		for (size_t i = 0; i < l->count; i++)
			near[i] = came[i] || l->change[i].action == NULL ?
			    NULL : match_nearest(&l->change[i], hooks, count,
			    &reaches[again]);
		while (match_pair(came, near, l, hooks, count,
		    &reaches[again]))
			;
	}
}
