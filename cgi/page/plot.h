/* Hooks a minute, drawn. */
#ifndef PLOT_H
#define PLOT_H

#include "base/text.h"

#define PLOT_MINUTES	180

struct plot {
	int64_t		 from;		/* minutes since 1970, of the first */
	bool		 more;		/* that were not counted */
	unsigned	 count[PLOT_MINUTES];
};

/* Starts a plot that ends with the minute of `now` (ms). */
void	plot_start(struct plot *, int64_t now);

/* A hook that came at `ms`; false: that is before the plot. */
bool	plot_add(struct plot *, int64_t ms);

/* Appends what the plot shows: in a sentence, as an SVG and, folded away, as
 * a table. */
void	plot_write(const struct plot *, struct text *);

#endif
