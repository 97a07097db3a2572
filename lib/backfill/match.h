/* Which of an issue's changes came as a hook: pure. */
#ifndef MATCH_H
#define MATCH_H

#include "backfill/change.h"

/* A hook about the issue that the database has. */
struct match_hook {
	char	action[16];
	char	assignee[24];	/* the number of whom it assigns; or "" */
	int64_t	at;		/* when Sentry sent it, else when it came; ms */
	bool	used;		/* match_hooks() has found its change */
};

/* Sets came[i] for each change of the list for which there is a hook of the
 * same action: an issue is created once; of other changes it is the hook within
 * two minutes, or, where none is left, one that Sentry sent again, up to a
 * quarter of an hour later. Each hook stands for one change; of several that
 * would fit, those nearest in time belong together. Where both say whom they
 * assign, it is the same one. */
void	match_hooks(bool came[], const struct change_list *,
	    struct match_hook *, size_t count);

#endif
