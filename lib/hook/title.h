/* A hook in a line for people: what the titles of the resources share. */
#ifndef TITLE_H
#define TITLE_H

#include "hook/facts.h"

#define TITLE_MAX	1000	/* code points */

/* The emoji of a level. */
const char	*title_level(struct span level);

/* Appends `lead title`; without a title no space is left behind the lead. */
void		title_add(struct text *, const char *lead, struct span title);

/* Appends the lead that `table` has for the action, and the title; false where
 * it has none. The table ends with a NULL. */
struct title_lead {
	const char	*action, *lead;
};
bool		title_add_by_action(struct text *, const struct facts *,
		    const struct title_lead table[], struct span title);

/* Appends `⚠️ [RESOURCE ACTION] title`; with the best that is found. */
void		title_add_plain(struct text *, const struct facts *,
		    struct span title);
void		title_add_found(struct text *, const struct facts *);

/* Appends the best title that is found anywhere in the hook, if there is
 * one. */
void		title_found(struct text *, const struct facts *);

#endif
