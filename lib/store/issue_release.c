#include "store/issue_release.h"

enum fault
issue_release_put(struct db *d, unsigned statement, struct span issue,
    struct span release, struct span environment, int64_t seen_at)
{
	if (issue.len == 0 || release.len == 0)
		return FAULT_NONE;
	db_bind_text(d, statement, 1, issue);
	db_bind_text(d, statement, 2, release);
	db_bind_text(d, statement, 3,
	    environment.at == NULL ? span_of("") : environment);
	db_bind_int(d, statement, 4, seen_at);
	return db_run(d, statement);
}

enum fault
issue_release_find(struct db *d, unsigned statement, int64_t as_of,
    const struct hook *h, struct observation *o)
{
	enum fault f;
	bool row;

	if (o->outcome != OUTCOME_OBSERVED || !o->needs_release)
		return FAULT_NONE;
	db_bind_text(d, statement, 1, observation_get(o, OBSERVED_ISSUE_ID));
	db_bind_int(d, statement, 2, as_of);
	f = db_step(d, statement, &row);
	if (row && observation_set_release(o, h,
	    db_text(d, statement, 0)) != 0)
		f = FAULT_MEMORY;
	db_finish(d, statement);
	return f;
}
