/* Rows as they leave: the envelope, the subject, and groups of rows. */
#include "sink/envelope.h"
#include "sink/http_batch.h"
#include "sink/nats_subject.h"

#include <stdlib.h>

#include "../support/tap.h"

static void
writes_envelope(void)
{
	const struct envelope e = {
		.event_id = span_of("sentry-1"), .received_at = 1795500278776,
		.workspace_id = span_of("a\"b\n"), .store_id = span_of("\\"),
		.source_event = span_of("{\"source\":\"sentry\"}"),
	};
	struct text t = { 0 };

	envelope_write(&t, &e);
	ok(span_is(text_view(&t),
	    "{\"name\":\"apps-console/neural/observation.capture\","
	    "\"id\":\"sentry-1\",\"ts\":1795500278776,"
	    "\"data\":{\"workspaceId\":\"a\\\"b\\n\",\"storeId\":\"\\\\\","
	    "\"sourceEvent\":{\"source\":\"sentry\"}}}"),
	    "the envelope is Inngest's event, with its text escaped");
	text_release(&t);
}

static void
writes_subject(void)
{
	static const struct {
		const char	*workspace, *token;
	} cases[] = {
		{ "ws_1", "ws_1" }, { "A-z09", "A-z09" }, { "a.b", "a_b" },
		{ "a b", "a_b" }, { ">", "_" }, { "*", "_" },
		{ "\xc3\xa9", "__" }, { "a\tb\r\n", "a_b__" },
	};
	char want[64];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct text t = { 0 };

		nats_subject_write(&t, span_of(cases[i].workspace));
		snprintf(want, sizeof(want), "sentry.observation.%s",
		    cases[i].token);
		ok(span_is(text_view(&t), want), "workspace %zu becomes a "
		    "token of a subject", i);
		text_release(&t);
	}
}

static void
knows_patterns(void)
{
	static const struct {
		const char	*pattern;
		bool		 fits;
	} cases[] = {
		{ "sentry.observation.>", true }, { "sentry.>", true },
		{ ">", true }, { "sentry.observation.*", true },
		{ "*.*.*", true }, { "*.>", true }, { "sentry.*.>", true },
		{ "sentry.observation", false }, { "sentry.*", false },
		{ "sentry.observation.ws", false }, { "", false },
		{ "sentry.observations.>", false }, { "*", false },
		{ "sentr.observation.>", false }, { "a.b.c", false },
		{ "sentry.observation.*.*", false }, { "sentry.", false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		ok(nats_subject_fits(cases[i].pattern) == cases[i].fits,
		    "a stream of `%s' %s every workspace", cases[i].pattern,
		    cases[i].fits ? "takes" : "does not take");
}

/* `n` rows of ten bytes each, which were tried so often. */
static struct row *
rows(unsigned n, unsigned attempts, int64_t *id)
{
	struct row *list = NULL, **tail = &list;

	for (; n > 0; n--) {
		if ((*tail = row_new()) == NULL)
			abort();
		(*tail)->id = ++*id;
		(*tail)->attempts = attempts;
		text_str(&(*tail)->envelope, "{\"a\":1234}");
		tail = &(*tail)->next;
	}
	return list;
}

/* The next group, which is no longer on its way once it is looked at. */
static struct http_group *
next_group(struct http_batch *b)
{
	struct http_group *g = http_batch_next(b);

	if (g != NULL)
		http_batch_done(b, g->lane, g->tried);
	return g;
}

static unsigned
next_count(struct http_batch *b)
{
	struct http_group *g = next_group(b);
	unsigned n = g == NULL ? 0 : g->count;

	if (g != NULL)
		http_group_free(g);
	return n;
}

static void
groups(void)
{
	struct http_batch b;
	struct http_group *g;
	int64_t id = 0;

	http_batch_start(&b, 100, 1000, 4, 9);
	ok(http_batch_next(&b) == NULL, "without rows there is no group");
	http_batch_add(&b, rows(150, 0, &id));
	ok(next_count(&b) == 90, "a group holds as many as its bytes allow");
	if ((g = next_group(&b)) == NULL)
		return;
	ok(g->count == 60 && !g->tried, "and the next one what is left");
	http_batch_learn(&b, g, false);
	http_group_free(g);
	http_batch_add(&b, rows(10, 1, &id));
	http_batch_add(&b, rows(2, 9, &id));
	for (unsigned n = 1; n <= 4; n *= 2) {
		if ((g = next_group(&b)) == NULL)
			return;
		ok(g->count == n && g->tried, "of those that have failed %u "
		    "travel after a failure: more as they are taken", n);
		http_batch_learn(&b, g, true);
		http_group_free(g);
	}
	ok(next_count(&b) == 3, "and then all that are left");
	ok(next_count(&b) == 1 && next_count(&b) == 1 && next_count(&b) == 0,
	    "but those that may soon be dead, which travel alone");
	http_batch_release(&b);

	http_batch_start(&b, 100, 5, 4, 9);
	http_batch_add(&b, rows(2, 0, &id));
	ok(next_count(&b) == 1 && next_count(&b) == 1 && next_count(&b) == 0,
	    "a row that is longer than allowed travels alone");
	http_batch_release(&b);
}

/* Sends a group; it is `count` rows of this lane, tried before or not. */
static bool
sends(struct http_batch *b, unsigned count, unsigned lane, bool tried)
{
	struct http_group *g = http_batch_next(b);
	bool is = g != NULL && g->count == count && g->lane == lane &&
	    g->tried == tried;

	for (const struct row *r = is ? g->rows : NULL; r != NULL; r = r->next)
		is &= r->lane == lane && (r->attempts > 0) == tried;
	if (g != NULL)
		http_group_free(g);
	return is;
}

static struct row *
in_lane(struct row *list, unsigned lane)
{
	for (struct row *r = list; r != NULL; r = r->next)
		r->lane = lane;
	return list;
}

static void
lanes(void)
{
	struct http_batch b;
	struct http_group *g;
	struct row *mixed;
	int64_t id = 0;

	http_batch_start(&b, 2, 1000, 3, 9);
	mixed = in_lane(rows(3, 0, &id), 7);
	mixed->next->lane = 8;
	http_batch_add(&b, mixed);
	ok(sends(&b, 2, 7, false) && sends(&b, 1, 8, false),
	    "workspaces do not share a request");
	http_batch_done(&b, 7, false);
	http_batch_done(&b, 8, false);

	http_batch_add(&b, in_lane(rows(9, 0, &id), 7));
	ok(sends(&b, 2, 7, false) && sends(&b, 2, 7, false) &&
	    sends(&b, 2, 7, false) && http_batch_next(&b) == NULL,
	    "one has no more requests than it may");
	http_batch_add(&b, in_lane(rows(1, 0, &id), 8));
	ok(sends(&b, 1, 8, false), "so that another finds room");
	http_batch_done(&b, 7, false);
	http_batch_add(&b, in_lane(rows(1, 0, &id), 9));
	ok(sends(&b, 1, 9, false) && sends(&b, 2, 7, false),
	    "who has none on their way goes first");
	http_batch_release(&b);

	http_batch_start(&b, 8, 1000, 2, 9);
	http_batch_add(&b, in_lane(rows(8, 0, &id), 7));
	if ((g = next_group(&b)) == NULL || !http_batch_split(&b, g, 4) ||
	    (g = next_group(&b)) == NULL || !http_batch_split(&b, g, 2))
		abort();
	ok(sends(&b, 2, 7, false) && sends(&b, 2, 7, false) &&
	    http_batch_next(&b) == NULL,
	    "nor has one whose groups are split");
	http_batch_add(&b, in_lane(rows(1, 0, &id), 8));
	ok(sends(&b, 1, 8, false), "another finds room beside it");
	http_batch_done(&b, 7, false);
	ok(sends(&b, 4, 7, false), "then the next part has its turn");
	http_batch_release(&b);

	http_batch_start(&b, 2, 1000, 3, 9);
	http_batch_add(&b, in_lane(rows(8, 1, &id), 7));
	http_batch_add(&b, in_lane(rows(2, 0, &id), 7));
	ok(sends(&b, 2, 7, true) && sends(&b, 2, 7, false),
	    "what was tried before has a request, and then the others");
	http_batch_add(&b, in_lane(rows(3, 1, &id), 8));
	ok(sends(&b, 2, 8, true) && http_batch_next(&b) == NULL,
	    "one lane of it has not all that it has, nor has it all");
	http_batch_add(&b, in_lane(rows(1, 0, &id), 9));
	ok(sends(&b, 1, 9, false), "fresh rows find room");
	http_batch_release(&b);
}

static void
splits(void)
{
	struct http_batch b;
	struct http_group *g;
	struct row *taken = NULL;
	struct text t = { 0 };
	int64_t id = 0;

	http_batch_start(&b, 100, 1000, 4, 9);
	http_batch_add(&b, rows(5, 0, &id));
	g = next_group(&b);
	http_batch_add(&b, rows(1, 0, &id));
	ok(g != NULL && g->count == 5 && http_batch_split(&b, g, 2),
	    "a refused group is taken back");
	g = next_group(&b);
	ok(g != NULL && g->count == 2 && g->rows->id == 1, "as one half");
	if (g != NULL) {
		http_group_write(&t, g);
		ok(span_is(text_view(&t), "[{\"a\":1234},{\"a\":1234}]"),
		    "which is a JSON array");
		http_group_free(g);
	}
	g = next_group(&b);
	ok(g != NULL && g->count == 3 && g->rows->id == 3,
	    "and the other, before all that is fresh");
	if (g != NULL)
		http_group_free(g);
	ok(next_count(&b) == 1 && next_count(&b) == 0, "which comes last");
	text_release(&t);

	http_batch_add(&b, rows(3, 0, &id));
	g = next_group(&b);
	http_group_deliver(g, &taken, 2);
	ok(taken != NULL && taken->fate == FATE_DELIVERED && taken->next !=
	    NULL && g->count == 1 && http_batch_split(&b, g, 1) &&
	    next_count(&b) == 1 && next_count(&b) == 0,
	    "of one that was taken in part the rest goes back");
	row_free_all(taken);
	http_batch_release(&b);
}

static void
sets_fates(void)
{
	struct http_batch b;
	struct row *done = NULL;
	int64_t id = 0;
	unsigned n = 0;

	http_batch_start(&b, 100, 1000, 4, 9);
	http_batch_add(&b, rows(3, 0, &id));
	http_group_set_fate(next_group(&b), &done, FATE_LATER, 7,
	    span_of("no\nway\x80"));
	for (const struct row *r = done; r != NULL; r = r->next)
		n += r->fate == FATE_LATER && r->after_ms == 7 &&
		    strcmp(r->why, "no?way?") == 0;
	ok(n == 3, "each row of a group gets the fate, in plain words");
	row_free_all(done);
	http_batch_release(&b);
}

int
main(void)
{
	writes_envelope();
	writes_subject();
	knows_patterns();
	groups();
	lanes();
	splits();
	sets_fates();
	return tap_done();
}
