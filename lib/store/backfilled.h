/* A hook that comes after sentry-backfill has filed it. */
#ifndef BACKFILLED_H
#define BACKFILLED_H

#include "hook/observation.h"
#include "store/db.h"

/* The statement that backfilled_find() runs, for the list of db_open(). It
 * looks at what was backfilled of the minutes from ?1 to ?2 alone. Before the
 * first hook came nobody knew the installation. The row takes over the hook's
 * key and request id, so that later deliveries of this hook are found; a hook
 * that another row has already is that row's. ?7 is when the hook was sent, ?8
 * its body. */
#define BACKFILLED_ASSIGNEE(body) \
	"CASE WHEN json_valid(CAST(" body " AS TEXT)) THEN CAST(" \
	"json_extract(CAST(" body " AS TEXT), '$.data.assignee.id') AS TEXT)" \
	" END"
#define BACKFILLED_FIND \
	"UPDATE webhook SET seen = seen + 1, dedupe_key = ?6," \
	" request_id = ?9" \
	" WHERE id = (SELECT w.id" \
	" FROM webhook w INDEXED BY webhook_backfilled" \
	" CROSS JOIN outbox o ON o.webhook_id = w.id" \
	" WHERE w.origin = 'backfill' AND w.seen = 1" \
	" AND w.hook_timestamp BETWEEN ?1 AND ?2" \
	" AND o.issue_id = ?3 AND o.source_type = ?4" \
	" AND (w.installation IS ?5 OR w.installation IS NULL)" \
	" AND NOT EXISTS (SELECT 1 FROM webhook k" \
	" WHERE k.dedupe_key = ?6 AND k.id <> w.id)" \
	" AND (?4 <> 'issue.assigned' OR coalesce(" \
	BACKFILLED_ASSIGNEE("w.body") " = " BACKFILLED_ASSIGNEE("?8") ", 1))" \
	" ORDER BY abs(CAST(w.hook_timestamp AS INTEGER) - ?7) LIMIT 1)"

/* Within a transaction: counts the hook with the backfilled one that it is, if
 * there is one: *found. That is one about the same issue, with the same action,
 * the nearest of within two minutes, and for the same assignee where both name
 * one; of the creation of an issue, which happens once, of the day before. The
 * row keeps its event id, and gets the hook's `key` in
 * place of its own. `statement` is the index of BACKFILLED_FIND. */
enum fault	backfilled_find(struct db *, unsigned statement,
		    const struct hook *, const struct observation *,
		    struct span key, bool *found)
		    __attribute__((warn_unused_result));

#endif
