/* The mapping (table workspace_map): which workspace a Sentry project's hooks
 * belong to. A hook whose project has no row there is kept as unmapped. Once
 * somebody has added one, mapping_apply() gives the hook its workspace:
 *
 *   mapping_edits()	has changed (triggers of schema.sql count the edits):
 *   store_remap()	is called by the writer until all unmapped rows of the
 *			outbox were tried: it calls mapping_apply()
 *   mapping_find()	looks for the workspace of each, as of a new hook */
#ifndef MAPPING_H
#define MAPPING_H

#include "store/db.h"

/* The statements of the functions below, for the list of db_open(); each
 * function takes the index that its statement has there. */

/* The most specific rank comes first, and coalesce() stops at the first that
 * has a row. Each rank has an index (schema.sql), whose WHERE it repeats: or
 * SQLite would not use the index. No index finds a pattern: all are tried, but
 * only once, with and without installation in one go.
 * ?1 project id, ?2 slug, ?3 installation. */
#define MAPPING_RANK(where) \
	"(SELECT id FROM workspace_map WHERE " where \
	" AND installation = ?3 ORDER BY id LIMIT 1)," \
	"(SELECT id FROM workspace_map WHERE " where \
	" AND installation IS NULL ORDER BY id LIMIT 1)"
#define MAPPING_FIND \
	"SELECT workspace_id, store_id FROM workspace_map" \
	" WHERE id = coalesce(" \
	MAPPING_RANK("project_id = ?1 AND (project_slug IS NULL" \
	" OR lower(?2) GLOB lower(project_slug))") "," \
	MAPPING_RANK("lower(project_slug) = lower(?2) AND project_id IS NULL" \
	" AND project_slug IS NOT NULL" \
	" AND project_slug NOT GLOB '*[[*?]*'") "," \
	"(SELECT id FROM workspace_map WHERE project_id IS NULL" \
	" AND project_slug GLOB '*[[*?]*'" \
	" AND lower(?2) GLOB lower(project_slug)" \
	" AND (installation IS NULL OR installation = ?3)" \
	" ORDER BY installation IS NULL, id LIMIT 1)," \
	MAPPING_RANK("project_id IS NULL AND project_slug IS NULL") ")"
#define MAPPING_EDITS	"SELECT edits FROM workspace_map_edits"
#define MAPPING_UNMAPPED \
	"SELECT o.id, o.project_id, o.project_slug, w.installation" \
	" FROM outbox o JOIN webhook w ON w.id = o.webhook_id" \
	" WHERE o.state = 'unmapped' AND o.id > ?1" \
	" ORDER BY o.id LIMIT ?2"
#define MAPPING_APPLY \
	"UPDATE outbox SET workspace_id = ?2, store_id = ?3," \
	" state = 'pending' WHERE id = ?1 AND state = 'unmapped'"

/* Looks for the workspace of a project. If *found, mapping_bind() can be
 * called, and the caller has to finish the statement. */
enum fault	mapping_find(struct db *, unsigned find, struct span project_id,
		    struct span project_slug, struct span installation,
		    bool *found) __attribute__((warn_unused_result));

/* Binds what mapping_find() has found: workspace and store become parameters
 * of `statement`, from the number `first` on. */
enum fault	mapping_bind(struct db *, unsigned find, unsigned statement,
		    int first) __attribute__((warn_unused_result));

/* How often workspace_map was edited so far. */
enum fault	mapping_edits(struct db *, unsigned statement, int64_t *edits)
		    __attribute__((warn_unused_result));

/* store_remap() says what this does. */
enum fault	mapping_apply(struct db *, unsigned find, unsigned unmapped,
		    unsigned apply, int64_t *cursor, unsigned limit,
		    bool *more) __attribute__((warn_unused_result));

#endif
