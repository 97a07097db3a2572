/* What is counted while the worker runs, and how Prometheus reads it. */
#ifndef METRICS_H
#define METRICS_H

#include <stdint.h>

#include "worker/keyring.h"
#include "hook/resource.h"
#include "base/text.h"
#include "store/writer.h"

/* What became of a POST: one of these. */
enum metric {
	METRIC_STORED,		/* a new row of webhook and outbox */
	METRIC_IGNORED,		/* a new row, but not observed */
	METRIC_UNREADABLE,	/* a new row, but no JSON object: 400 */
	METRIC_DUPLICATE,	/* it had been there before, */
	METRIC_DIFFERENT,	/* or had with another body */
	METRIC_SPOOLED,		/* it went to the spool */
	METRIC_LOST,		/* authentic, and nothing took it: 500 */
	METRIC_UNCONFIGURED,	/* no secret is configured */
	METRIC_UNAUTHENTIC,	/* no right signature */
	METRIC_MALFORMED,	/* of a bad or too great length */
	METRICS
};

/* When the process began, before anything else here. */
void	metrics_start(int64_t now_ms);

/* Safe from any thread, and no more than an atomic addition or three. */
void	metrics_count(const struct resource *, enum metric);
void	metrics_hook(int64_t now_ms);	/* an authentic hook came */
void	metrics_kept(int64_t us);	/* and is on disk, after so long */

/* The text format, version 0.0.4. census is NULL where there is none. */
void	metrics_write(struct text *, const struct writer_status *,
	    const struct spool *, const struct keyring_loan *,
	    const struct backlog *, int64_t now_ms);

#endif
