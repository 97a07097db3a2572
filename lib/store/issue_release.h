/* The releases in which issues were seen (table issue_release). A hook about an
 * issue never names a release; an error or an alert does, and names its issue,
 * too. issue_release_put() keeps what those say. issue_release_find() gives it
 * to an observation that has no release of its own: that is how the release of
 * an issue gets into an observation. store_put() calls both. */
#ifndef ISSUE_RELEASE_H
#define ISSUE_RELEASE_H

#include "hook/observation.h"
#include "store/db.h"

/* The statements of the two functions, for the list of db_open(); each function
 * takes the index that its statement has there. */
#define ISSUE_RELEASE_PUT \
	"INSERT INTO issue_release (issue_id, release, environment," \
	" first_seen_at, last_seen_at) VALUES (?1, ?2, ?3, ?4, ?4)" \
	" ON CONFLICT DO UPDATE SET" \
	" first_seen_at = min(first_seen_at, ?4)," \
	" last_seen_at = max(last_seen_at, ?4)"
#define ISSUE_RELEASE_FIND \
	"SELECT release FROM issue_release" \
	" WHERE issue_id = ?1 AND first_seen_at <= ?2" \
	" ORDER BY min(last_seen_at, ?2) DESC, first_seen_at DESC LIMIT 1"

/* Within a transaction: notes that the issue was seen in a release, at the time
 * `seen_at` (ms since 1970). The environment may be { NULL, 0 }. Notes nothing
 * if there is no issue or no release. */
enum fault	issue_release_put(struct db *, unsigned statement,
		    struct span issue, struct span release,
		    struct span environment, int64_t seen_at)
		    __attribute__((warn_unused_result));

/* Gives the observation the release in which its issue was last seen, as it was
 * known at `as_of` (ms since 1970; INT64_MAX: all that is known). Changes
 * nothing if the observation does not need a release, or none is known. `hook`
 * is the one that the observation was made of: it is observed once more. */
enum fault	issue_release_find(struct db *, unsigned statement,
		    int64_t as_of, const struct hook *, struct observation *)
		    __attribute__((warn_unused_result));

#endif
