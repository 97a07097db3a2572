/* A plot of how many hooks came in each of the last minutes. */
#ifndef PLOT_H
#define PLOT_H

#include "base/text.h"

#define PLOT_MINUTES	180

struct plot {
	int64_t		 from;		/* the first minute, since 1970 */
	bool		 more;		/* hooks came that are not counted */
	unsigned	 count[PLOT_MINUTES];
};

/* Starts a plot whose last minute is that of `now` (ms since 1970). */
void	plot_start(struct plot *, int64_t now);

/* Counts a hook that came at `ms` (since 1970). False: before the plot. */
bool	plot_add(struct plot *, int64_t ms);

/* Appends the plot: a sentence, an SVG, and a table that is folded away. */
void	plot_write(const struct plot *, struct text *);

#endif
