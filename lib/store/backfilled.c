#include "store/backfilled.h"

#define SAME_S		120	/* between a change and the hook of it */
#define CREATED_LATE_S	86400	/* the same where the issue was created */
#define SECONDS_DIGITS	10	/* of a hook's timestamp, from 2001 to 2286 */

/* When Sentry sent the hook, in seconds; -1 if it does not say. */
static int64_t
backfilled_sent(const struct hook *h)
{
	struct span s = h->timestamp;
	int64_t sent;

	return s.len == SECONDS_DIGITS &&
	    span_take_number(&s, INT64_MAX, &sent) && s.len == 0 ? sent : -1;
}

/* Binds ?1 to ?8; false if the hook can be no backfilled one. */
static bool
backfilled_bind(struct db *d, unsigned statement, const struct hook *h,
    const struct observation *o)
{
	struct span action = observation_get(o, OBSERVED_ACTION);
	bool created = span_is(action, "created");
	int64_t sent = backfilled_sent(h);

	if (h->backfilled || sent < 0 || o->outcome != OUTCOME_OBSERVED ||
	    !span_is(observation_get(o, OBSERVED_RESOURCE), "issue"))
		return false;
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
	db_bind_int(d, statement, 7, sent);
	db_bind_blob(d, statement, 8, h->body);
	return true;
}

enum fault
backfilled_find(struct db *d, unsigned statement, const struct hook *h,
    const struct observation *o, struct span key, bool *found)
{
	enum fault f;

	*found = false;
	if (!backfilled_bind(d, statement, h, o))
		return FAULT_NONE;
	db_bind_blob(d, statement, 6, key);
	db_bind_text(d, statement, 9, h->request_id);
	f = db_run(d, statement);
	*found = f == FAULT_NONE && db_changes(d) > 0;
	return f;
}

enum fault
backfilled_is_known(struct db *d, unsigned statement, const struct hook *h,
    const struct observation *o, bool *known)
{
	enum fault f;
	bool row;

	*known = false;
	if (!backfilled_bind(d, statement, h, o))
		return FAULT_NONE;
	f = db_step(d, statement, &row);
	*known = row && db_int(d, statement, 0) != 0;
	db_finish(d, statement);
	return f;
}
