#include "store/backfilled.h"

#define SAME_S		120	/* between a change and the hook of it */
#define CREATED_LATE_S	86400	/* the same where the issue was created */
#define SENT_MAX	9999999999	/* seconds; in 2286 */

/* When Sentry sent the hook, in seconds; -1 if it does not say. */
static int64_t
backfilled_sent(const struct hook *h)
{
	struct span s = h->timestamp;
	int64_t sent;

	return span_take_number(&s, SENT_MAX, &sent) && s.len == 0 ? sent : -1;
}

enum fault
backfilled_find(struct db *d, unsigned statement, const struct hook *h,
    const struct observation *o, struct span key, bool *found)
{
	struct span action = observation_get(o, OBSERVED_ACTION);
	bool created = span_is(action, "created");
	int64_t sent = backfilled_sent(h);
	enum fault f;

	*found = false;
	if (h->backfilled || sent < 0 || o->outcome != OUTCOME_OBSERVED ||
	    !span_is(observation_get(o, OBSERVED_RESOURCE), "issue"))
		return FAULT_NONE;
	/* The column is a text: SQLite compares these as texts, too. */
	db_bind_int(d, statement, 1, sent - (created ? CREATED_LATE_S :
	    SAME_S));
	db_bind_int(d, statement, 2, sent + SAME_S);
	db_bind_text(d, statement, 3, observation_get(o, OBSERVED_ISSUE_ID));
	/* `archived` is what `ignored` is called for some. */
	db_bind_text(d, statement, 4, span_is(action, "archived") ?
	    span_of("issue.ignored") :
	    observation_get(o, OBSERVED_SOURCE_TYPE));
	db_bind_text(d, statement, 5,
	    observation_get(o, OBSERVED_INSTALLATION));
	db_bind_blob(d, statement, 6, key);
	db_bind_int(d, statement, 7, sent);
	db_bind_blob(d, statement, 8, h->body);
	db_bind_text(d, statement, 9, h->request_id);
	f = db_run(d, statement);
	*found = f == FAULT_NONE && db_changes(d) > 0;
	return f;
}
