/* Metrics in Prometheus' text format, version 0.0.4. */
#ifndef PROMETHEUS_H
#define PROMETHEUS_H

#include "base/text.h"

/* A value may be any text: in a label only printable ASCII is shown as it is,
 * the rest as \xNN, as in the log. */
struct prometheus_label {
	const char	*key, *value;
};

/* Appends the # HELP and # TYPE lines. Samples of this name come next. */
void	prometheus_head(struct text *, const char *name, const char *type,
	    const char *help);

/* Appends a sample with `count` labels (or none); with one label. */
void	prometheus_sample(struct text *, const char *name,
	    const struct prometheus_label *, unsigned count, double value);
void	prometheus_labelled(struct text *, const char *name, const char *key,
	    const char *label, double value);

/* A metric that has a single sample: its head and that. */
void	prometheus_single(struct text *, const char *name, const char *type,
	    const char *help, double value);

/* The gauge that says which version of us and of SQLite runs. */
void	prometheus_build_info(struct text *, const char *name,
	    const char *sqlite_version);

/* Appends a histogram's samples. in[i] is how many values there are up to
 * limits[i] and above the limit before it; in[count] those above all limits;
 * `sum` is the sum of all values. */
void	prometheus_histogram(struct text *, const char *name,
	    const double *limits, size_t count, const unsigned long *in,
	    double sum);

#endif
