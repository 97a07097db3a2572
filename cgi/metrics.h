/* What is counted while the worker runs, and how Prometheus reads it. */
#ifndef METRICS_H
#define METRICS_H

#include <stdint.h>

#include "text.h"
#include "writer.h"

enum metric {
	METRIC_STORED,		/* hooks that became a row */
	METRIC_DUPLICATE,	/* hooks that had been there before */
	METRIC_IGNORED,		/* of the stored: not observed */
	METRIC_UNREADABLE,	/* of the stored: no JSON object */
	METRIC_SPOOLED,		/* hooks that went to the spool */
	METRIC_LOST,		/* authentic hooks that nothing took: 500 */
	METRIC_UNCONFIGURED,	/* POSTs without a secret configured */
	METRIC_UNAUTHENTIC,	/* POSTs without a right signature */
	METRIC_MALFORMED,	/* POSTs of a bad or too great length */
	METRICS
};

/* Safe from any thread. */
void	metrics_count(enum metric);
void	metrics_hook(int64_t now_ms);	/* an authentic hook came */

/* The text format, version 0.0.4. census is NULL where there is none. */
void	metrics_write(struct text *, const struct writer_status *,
	    const struct spool *, const struct census *);

#endif
