/* A hook that comes after sentry-backfill has filed it. */
#ifndef BACKFILLED_H
#define BACKFILLED_H

#include "hook/observation.h"
#include "store/db.h"

/* The backfilled row of a hook, by two ways. A change is looked for among all
 * that was backfilled of some minutes. The creation of an issue, for which a
 * day counts, is looked for among the newest rows that say the same of the
 * issue; but only where anything was backfilled of that day. Before the first
 * hook came nobody knew the installation. ?1 to ?2 is the time, ?3 the issue,
 * ?4 the source type, ?5 the installation, ?7 when the hook was sent, ?8 its
 * body. */
#define BACKFILLED_ASSIGNEE(body) \
	"CASE WHEN json_valid(CAST(" body " AS TEXT)) THEN CAST(" \
	"json_extract(CAST(" body " AS TEXT), '$.data.assignee.id') AS TEXT)" \
	" END"
#define BACKFILLED_NEAREST(rows, more) \
	"(SELECT w.id FROM " rows \
	" WHERE w.origin = 'backfill' AND w.hook_timestamp BETWEEN ?1 AND ?2" \
	" AND o.issue_id = ?3 AND o.source_type = ?4" \
	" AND (w.installation IS ?5 OR w.installation IS NULL)" \
	" AND (?4 <> 'issue.assigned' OR coalesce(" \
	BACKFILLED_ASSIGNEE("w.body") " = " BACKFILLED_ASSIGNEE("?8") ", 1))" \
	more \
	" ORDER BY abs(CAST(w.hook_timestamp AS INTEGER) - ?7) LIMIT 1)"
#define BACKFILLED_ID(more) \
	"CASE WHEN ?4 <> 'issue.created' THEN " BACKFILLED_NEAREST( \
	"webhook w INDEXED BY webhook_backfilled" \
	" CROSS JOIN outbox o ON o.webhook_id = w.id", more) \
	" WHEN EXISTS (SELECT 1 FROM webhook INDEXED BY webhook_backfilled" \
	" WHERE origin = 'backfill' AND hook_timestamp BETWEEN ?1 AND ?2)" \
	" THEN " BACKFILLED_NEAREST( \
	"(SELECT webhook_id, issue_id, source_type" \
	" FROM outbox INDEXED BY outbox_issue" \
	" WHERE issue_id = ?3 AND source_type = ?4" \
	" ORDER BY id DESC LIMIT 100) o" \
	" CROSS JOIN webhook w ON w.id = o.webhook_id", more) " END"

/* The statement that backfilled_find() runs, for the list of db_open(). The row
 * takes over the hook's key (?6) and request id (?9), so that later deliveries
 * of this hook are found; a hook that another row has already is that row's. */
#define BACKFILLED_FIND \
	"UPDATE webhook SET seen = seen + 1, dedupe_key = ?6," \
	" request_id = ?9 WHERE id = " BACKFILLED_ID( \
	" AND w.seen = 1 AND NOT EXISTS (SELECT 1 FROM webhook k" \
	" WHERE k.dedupe_key = ?6 AND k.id <> w.id)")

/* The same for backfilled_is_known(): it changes nothing. */
#define BACKFILLED_KNOWN	"SELECT " BACKFILLED_ID("") " IS NOT NULL"

/* Within a transaction: counts the hook with the backfilled one that it is, if
 * there is one: *found. That is one about the same issue, with the same action,
 * the nearest of within two minutes, and for the same assignee where both name
 * one; of the creation of an issue, which happens once, of the day before. The
 * row keeps its event id, and gets the hook's `key` in place of its own.
 * `statement` is the index of BACKFILLED_FIND. */
enum fault	backfilled_find(struct db *, unsigned statement,
		    const struct hook *, const struct observation *,
		    struct span key, bool *found)
		    __attribute__((warn_unused_result));

/* Whether the change that a hook without a row tells of was backfilled: the
 * hook came, but was not observed. `statement` is the index of
 * BACKFILLED_KNOWN. */
enum fault	backfilled_is_known(struct db *, unsigned statement,
		    const struct hook *, const struct observation *,
		    bool *known) __attribute__((warn_unused_result));

#endif
