#include "store/checkpoint.h"

#include "store/db_files.h"
#include "store/sql.h"

#define UNKNOWN_PAGES	1000	/* a crash may have left as many */
#define GROWTH_SHARE	8	/* another try when the log grew by 1/8 */

enum fault
checkpoint_open(struct checkpoint *c, sqlite3 *db)
{
	int64_t n;

	*c = (struct checkpoint){ .db = db, .pages = UNKNOWN_PAGES };
	/* SQLite opens the log with the first read. */
	return sql_number(db, "SELECT count(*) FROM sqlite_schema", &n);
}

void
checkpoint_close(struct checkpoint *c)
{
	sqlite3_close(c->db);
	c->db = NULL;
}

static int
count_pages(void *arg, sqlite3 *db, const char *name, int pages)
{
	(void)db;
	(void)name;
	((struct checkpoint *)arg)->pages = pages;
	return SQLITE_OK;
}

void
checkpoint_watch(struct checkpoint *c, sqlite3 *first)
{
	sqlite3_wal_hook(first, count_pages, c);
}

bool
checkpoint_due(const struct checkpoint *c, int most, bool look,
    const char *path, int64_t page_bytes)
{
	int growth = (c->kept > most ? c->kept : most) / GROWTH_SHARE;
	struct timespec written;

	/* After one that left pages the next waits for the log to grow: by a
	 * share, so that a long log is not tried after every commit. */
	if (c->pages >= most && c->pages >= c->kept + growth)
		return true;
	return look && db_files_log_bytes(path, &written) >=
	    most * page_bytes && (written.tv_sec != c->written.tv_sec ||
	    written.tv_nsec != c->written.tv_nsec);
}

enum fault
checkpoint_move(struct checkpoint *c, const char *path)
{
	int pages = 0, moved = 0;
	enum fault f = sql_fault(sqlite3_wal_checkpoint_v2(c->db, NULL,
	    SQLITE_CHECKPOINT_PASSIVE, &pages, &moved));

	if (f != FAULT_NONE)
		return f;
	(void)db_files_log_bytes(path, &c->written);
	c->found = pages;
	c->pages = moved < pages ? pages : 0;
	c->kept = c->pages;
	return moved < pages ? FAULT_BUSY : FAULT_NONE;
}

enum fault
checkpoint_cut(struct checkpoint *c)
{
	return sql_fault(sqlite3_wal_checkpoint_v2(c->db, NULL,
	    SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL));
}
