/* What the worker counts while it runs, for Prometheus. */
#ifndef METRICS_H
#define METRICS_H

#include <stdint.h>

#include "worker/keyring.h"
#include "hook/resource.h"
#include "base/text.h"
#include "store/writer.h"

/* What became of a POST: one of these. */
enum metric {
	METRIC_STORED,		/* a new row of webhook and of outbox */
	METRIC_IGNORED,		/* a new row of webhook alone */
	METRIC_UNREADABLE,	/* likewise: it is no JSON object; 400 */
	METRIC_DUPLICATE,	/* the delivery was there before, */
	METRIC_DIFFERENT,	/* the same, but with another body */
	METRIC_SPOOLED,		/* it went to the spool */
	METRIC_LOST,		/* authentic, and nothing took it: 500 */
	METRIC_UNCONFIGURED,	/* no secret is configured */
	METRIC_UNAUTHENTIC,	/* no right signature */
	METRIC_MALFORMED,	/* its length is missing, wrong or too great */
	METRICS
};

/* Notes when the process began (ms since 1970). Before anything else here. */
void	metrics_start(int64_t now_ms);

/* From any thread; a few atomic additions at most. */
void	metrics_count(const struct resource *, enum metric);
void	metrics_hook(int64_t now_ms);	/* an authentic hook came, */
void	metrics_kept(int64_t us);	/* and was on disk so much later */

/* When the last authentic hook came, to this process or before its start, as
 * the backlog has it (may be NULL): ms since 1970; 0: none has. */
int64_t	metrics_last_hook(const struct backlog *);

/* Appends all metrics in Prometheus' text format; without those of the backlog
 * where that is NULL. */
void	metrics_write(struct text *, const struct writer_status *,
	    const struct spool *, struct keyring *,
	    const struct backlog *, int64_t now_ms);

#endif
