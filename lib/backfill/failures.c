#include "backfill/failures.h"

#include <stdlib.h>

#include "base/timestamp.h"

#define WINDOW_GAP_MS	3600000
#define KINDS_MAX	8	/* of hooks about issues there are six */

static int
failures_compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

/* Counts them by their kinds, to know where Sentry's log was full. */
struct kinds {
	struct span	name[KINDS_MAX];
	unsigned	count[KINDS_MAX];
};

static bool
failures_count_kind(struct kinds *k, struct span name)
{
	for (size_t i = 0; i < KINDS_MAX; i++) {
		if (k->name[i].at == NULL)
			k->name[i] = name;
		if (span_same(k->name[i], name))
			return ++k->count[i] >= FAILURES_KEPT;
	}
	return false;
}

void
failures_read(struct failures *f, struct json list, const char *org)
{
	struct kinds kinds = { 0 };

	f->count = 0;
	f->others = 0;
	f->full = false;
	for (size_t i = 0; i < json_count(list); i++) {
		struct json v = json_at(list, i);
		struct span kind = json_string(json_get(v, "eventType"));
		struct span slug = json_get_scalar(json_get(v,
		    "organization"), "slug");
		int64_t at;

		if ((slug.len > 0 && !span_is(slug, org)) ||
		    !timestamp_read_ms(&at, json_string(json_get(v, "date"))))
			continue;
		if (kind.len <= 6 || memcmp(kind.at, "issue.", 6) != 0)
			f->others++;
		else if (f->count < FAILURES_MAX) {
			f->at[f->count++] = at;
			f->full |= failures_count_kind(&kinds, kind);
		}
	}
	qsort(f->at, f->count, sizeof(f->at[0]), failures_compare);
}

size_t
failures_window(const struct failures *f, size_t from)
{
	size_t i = from + 1;

	while (i < f->count && f->at[i] - f->at[i - 1] <= WINDOW_GAP_MS)
		i++;
	return i;
}
