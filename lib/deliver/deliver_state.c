#include "deliver/deliver_state.h"

#include "base/clock.h"

#define REOPEN_AFTER_MS	1000

enum fault
deliver_state_open(struct deliver *d)
{
	char why[DB_WHY];
	bool rival;
	enum fault f;

	if (clock_ms() < d->reopen_at)
		return FAULT_NONE;
	d->reopen_at = clock_ms() + REOPEN_AFTER_MS;
	/* As long as the moved database's log stands beside the file that has
	 * taken its place, SQLite would take it for that file's log. There may
	 * be no worker that removes it. */
	if (d->moved_db != NULL && (f = db_retire(d->moved_db,
	    &rival)) == FAULT_BUSY)
		return f;
	db_abandon(d->moved_db);
	d->moved_db = NULL;
	if ((f = queue_open(&d->db, d->config->db, why)) != FAULT_NONE)
		deliver_log_database(&d->log, f, why);
	else if (d->retired) {
		d->retired = false;
		deliver_state_fault(d, db_renew(d->db));
	}
	queue_reader_restart(&d->fresh);
	queue_reader_restart(&d->tried);
	return f;
}

void
deliver_state_fault(struct deliver *d, enum fault f)
{
	bool rival;

	if (f == FAULT_NONE || f == FAULT_BUSY)
		return;
	deliver_log_database(&d->log, f, f == FAULT_GONE ?
	    "the database was moved or replaced" : db_why(d->db));
	d->retired |= f == FAULT_GONE;
	if (f == FAULT_GONE && db_retire(d->db, &rival) == FAULT_BUSY)
		d->moved_db = d->db;
	else
		db_abandon(d->db);
	d->db = NULL;
	d->failed |= d->config->once;
}

int64_t
deliver_state_due_now(const struct deliver *d)
{
	return clock_ms() + d->wall_offset;
}
