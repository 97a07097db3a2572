/* The statements of a connection: binding, running, reading rows. db.h says
 * what each function promises. */
#include "store/db_private.h"

#include "store/sql.h"

#define INTERRUPT_STEPS	2000	/* of SQLite's virtual machine */

void
db_bind_text(struct db *d, unsigned which, int i, struct span value)
{
	sqlite3_stmt *stmt = d->stmt[which];

	if (value.at == NULL)
		sqlite3_bind_null(stmt, i);
	else
		sqlite3_bind_text64(stmt, i, value.at, value.len,
		    SQLITE_STATIC, SQLITE_UTF8);
}

void
db_bind_blob(struct db *d, unsigned which, int i, struct span value)
{
	sqlite3_bind_blob64(d->stmt[which], i,
	    value.len > 0 ? value.at : "", value.len, SQLITE_STATIC);
}

void
db_bind_int(struct db *d, unsigned which, int i, int64_t value)
{
	sqlite3_bind_int64(d->stmt[which], i, value);
}

enum fault
db_run(struct db *d, unsigned which)
{
	int rc = sqlite3_step(d->stmt[which]);

	db_finish(d, which);
	return sql_fault(rc);
}

enum fault
db_step(struct db *d, unsigned which, bool *row)
{
	int rc = sqlite3_step(d->stmt[which]);

	*row = rc == SQLITE_ROW;
	return sql_fault(rc);
}

void
db_finish(struct db *d, unsigned which)
{
	sqlite3_reset(d->stmt[which]);
	sqlite3_clear_bindings(d->stmt[which]);
}

struct span
db_text(struct db *d, unsigned which, int i)
{
	const unsigned char *at = sqlite3_column_text(d->stmt[which], i);

	return (struct span){ (const char *)at,
	    (size_t)sqlite3_column_bytes(d->stmt[which], i) };
}

int64_t
db_int(struct db *d, unsigned which, int i)
{
	return sqlite3_column_int64(d->stmt[which], i);
}

void
db_interrupt(struct db *d, int (*interrupted)(void *), void *arg)
{
	sqlite3_progress_handler(d->db, INTERRUPT_STEPS, interrupted, arg);
}

int64_t
db_last_id(const struct db *d)
{
	return sqlite3_last_insert_rowid(d->db);
}

int64_t
db_changes(const struct db *d)
{
	return sqlite3_changes(d->db);
}
