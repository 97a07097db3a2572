#include "store/mapping.h"

enum fault
mapping_find(struct db *d, unsigned find, struct span project_id,
    struct span project_slug, struct span installation, bool *found)
{
	enum fault f;

	db_bind_text(d, find, 1, project_id);
	db_bind_text(d, find, 2, project_slug);
	db_bind_text(d, find, 3, installation);
	f = db_step(d, find, found);
	if (!*found)
		db_finish(d, find);
	return f;
}

/* In the table the two are never NULL; where they seem to be, SQLite had no
 * memory for them. */
enum fault
mapping_bind(struct db *d, unsigned find, unsigned statement, int first)
{
	struct span workspace = db_text(d, find, 0);
	struct span store = db_text(d, find, 1);

	db_bind_text(d, statement, first, workspace);
	db_bind_text(d, statement, first + 1, store);
	return workspace.at != NULL && store.at != NULL ? FAULT_NONE :
	    FAULT_MEMORY;
}

enum fault
mapping_edits(struct db *d, unsigned statement, int64_t *edits)
{
	bool row;
	enum fault f = db_step(d, statement, &row);

	*edits = row ? db_int(d, statement, 0) : 0;
	db_finish(d, statement);
	return f;
}

/* The row that `unmapped` has just read. */
static enum fault
apply_to_row(struct db *d, unsigned find, unsigned unmapped, unsigned apply)
{
	bool mapped;
	enum fault f = mapping_find(d, find, db_text(d, unmapped, 1),
	    db_text(d, unmapped, 2), db_text(d, unmapped, 3), &mapped);

	if (!mapped)
		return f;
	db_bind_int(d, apply, 1, db_int(d, unmapped, 0));
	f = mapping_bind(d, find, apply, 2);
	if (f == FAULT_NONE)
		f = db_run(d, apply);
	else
		db_finish(d, apply);
	db_finish(d, find);
	return f;
}

enum fault
mapping_apply(struct db *d, unsigned find, unsigned unmapped, unsigned apply,
    int64_t *cursor, unsigned limit, bool *more)
{
	enum fault f;
	unsigned rows = 0;
	bool row;

	db_bind_int(d, unmapped, 1, *cursor);
	db_bind_int(d, unmapped, 2, limit);
	while ((f = db_step(d, unmapped, &row)) == FAULT_NONE && row) {
		*cursor = db_int(d, unmapped, 0);
		rows++;
		if ((f = apply_to_row(d, find, unmapped, apply)) != FAULT_NONE)
			break;
	}
	db_finish(d, unmapped);
	*more = rows == limit;
	return f;
}
