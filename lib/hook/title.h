/* Titles of observations: what the resources share. */
#ifndef TITLE_H
#define TITLE_H

#include "hook/facts.h"

#define TITLE_MAX	1000	/* code points */

/* The emoji of a level. */
const char	*title_level(struct span level);

/* Appends `LEAD TITLE`; the lead alone if there is no title. */
void		title_add(struct text *, const char *lead, struct span title);

/* Appends the lead that `table` has for the hook's action, and the title.
 * False, and nothing is appended, if the table, which ends with a NULL, does
 * not have the action. */
struct title_lead {
	const char	*action, *lead;
};
bool		title_add_by_action(struct text *, const struct facts *,
		    const struct title_lead table[], struct span title);

/* Appends `⚠️ [RESOURCE ACTION] TITLE`; the second does so with
 * title_found(). */
void		title_add_plain(struct text *, const struct facts *,
		    struct span title);
void		title_add_found(struct text *, const struct facts *);

/* Appends the first title that is found in the places where hooks have one. */
void		title_found(struct text *, const struct facts *);

#endif
