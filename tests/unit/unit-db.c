#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/db.h"
#include "../support/shell.h"
#include "../support/tap.h"

/* What somebody else has open, and the three files. */
static sqlite3	*other;
static char	away[96], wal[96], shm[96];

enum { SQL_PUT, SQL_BIG, STATEMENTS };
static const char *const statements[STATEMENTS] = {
	[SQL_PUT] = "INSERT INTO issue_release (issue_id, release, "
	    "first_seen_at, last_seen_at) VALUES (?1, 'r', 1, 1)",
	[SQL_BIG] = "INSERT INTO webhook (received_at, resource, dedupe_key, "
	    "outcome, body) VALUES (1, 'x', randomblob(16), 'ignored', "
	    "randomblob(?1))",
};

static struct db *
own(void)
{
	char why[DB_WHY];
	struct db *d;

	if (db_open(&d, shell_path, DB_OWN, statements, STATEMENTS, why) !=
	    FAULT_NONE)
		abort();
	return d;
}

static void
put(struct db *d, int n)
{
	char id[16];

	snprintf(id, sizeof(id), "%d", n);
	db_bind_text(d, SQL_PUT, 1, span_of(id));
	if (db_begin(d) != FAULT_NONE || db_run(d, SQL_PUT) != FAULT_NONE ||
	    db_end(d, FAULT_NONE) != FAULT_NONE)
		abort();
}

static void
put_big(struct db *d, int64_t bytes)
{
	db_bind_int(d, SQL_BIG, 1, bytes);
	if (db_run(d, SQL_BIG) != FAULT_NONE)
		abort();
}

static void
must(const char *sql)
{
	if (!run(sql))
		abort();
}

static int64_t
bytes_of(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? st.st_size : -1;
}

static bool
sound(void)
{
	return ask("SELECT count(*) FROM pragma_integrity_check "
	    "WHERE integrity_check = 'ok'") == 1;
}

/* In a file elsewhere, by a connection of its own. */
static int64_t
ask_in(const char *path, const char *sql)
{
	sqlite3 *mine = shell;
	int64_t n;

	if (sqlite3_open(path, &shell) != SQLITE_OK)
		abort();
	n = ask(sql);
	sqlite3_close(shell);
	shell = mine;
	return n;
}

static void
hold(void)
{
	if (sqlite3_open(shell_path, &other) != SQLITE_OK ||
	    sqlite3_exec(other, "BEGIN; SELECT count(*) FROM webhook", NULL,
	    NULL, NULL) != SQLITE_OK)
		abort();
}

static void
let_go(void)
{
	sqlite3_exec(other, "COMMIT", NULL, NULL, NULL);
	sqlite3_close(other);
}

/* Pages of a transaction that is too large for memory are written to the log
 * before it ends. */
static void
rolls_back(struct db *d)
{
	bool good = true;

	for (int i = 0; i < 3; i++) {
		if (db_empty_log(d) != FAULT_NONE ||
		    db_begin(d) != FAULT_NONE)
			abort();
		for (int n = 0; n < 80; n++)
			put_big(d, 600000);
		db_rollback(d);
		must("INSERT INTO webhook (received_at, resource, dedupe_key, "
		    "outcome, body) VALUES (1, 'x', randomblob(16), "
		    "'ignored', randomblob(100000))");
		put(d, 100 + i);
		good &= sound();
	}
	ok(good && ask("SELECT count(*) FROM webhook") == 3,
	    "what was rolled back is no danger to what another one commits");
}

static void
keeps_it_short(struct db *d)
{
	int64_t page = ask("PRAGMA page_size"), most = 0;

	for (int i = 0; i < 3000; i++) {
		put(d, 1000 + i);
		if (db_checkpoint(d, false) != FAULT_NONE)
			abort();
		if (i % 10 == 0)
			must("UPDATE webhook SET seen = seen + 1");
		most = bytes_of(wal) > most ? bytes_of(wal) : most;
	}
	ok(most < 1000 * (page + 24), "thousands of commits, others' among "
	    "them, leave a log of less than 1,000 pages (%lld bytes)",
	    (long long)most);
}

static void
waits_for_readers(struct db *d)
{
	hold();
	put(d, 1);
	ok(db_empty_log(d) == FAULT_BUSY, "a reader keeps the log");
	ok(db_checkpoint(d, true) == FAULT_NONE, "which is no fault");
	let_go();
	ok(db_empty_log(d) == FAULT_NONE, "until it has ended");
}

static void
wipes(struct db *d)
{
	char command[192];

	must("INSERT INTO workspace_map (workspace_id) VALUES ('xyzzy-1')");
	must("DELETE FROM workspace_map");
	snprintf(command, sizeof(command), "grep -q xyzzy-1 %s", wal);
	ok(system(command) == 0 && db_wipe_log(d) == FAULT_NONE &&
	    system(command) != 0, "no copy is left in a log that was wiped");
	hold();
	put(d, 2);
	ok(db_wipe_log(d) == FAULT_BUSY, "which a reader prevents");
	let_go();
	ok(db_wipe_log(d) == FAULT_NONE && sound(), "for a while");
}

static void
shrinks(struct db *d)
{
	if (db_begin(d) != FAULT_NONE)
		abort();
	for (int i = 0; i < 50; i++)
		put_big(d, 100000);
	if (db_end(d, FAULT_NONE) != FAULT_NONE ||
	    db_empty_log(d) != FAULT_NONE)
		abort();
	must("DELETE FROM webhook");
	must("VACUUM");
	put(d, 3);
	if (db_empty_log(d) != FAULT_NONE)
		abort();
	put(d, 4);
	ok(bytes_of(shell_path) < 2000000 && db_check_files(d) == FAULT_NONE,
	    "a file that VACUUM made smaller is still ours");
}

/* Each closes what it was given, and opens anew. */

static struct db *
loses(struct db *d, const char *path, const char *what)
{
	int64_t rows;
	bool rival;

	put(d, 5);
	if (unlink(path) != 0)
		abort();
	ok(db_check_files(d) == FAULT_GONE && db_begin(d) == FAULT_GONE,
	    "%s that was deleted is missed", what);
	sqlite3_close(shell);
	ok(db_retire(d, &rival) == FAULT_NONE && bytes_of(wal) < 0 &&
	    bytes_of(shm) < 0, "what was in the log is brought to safety");
	db_abandon(d);
	d = own();
	shell_open();
	rows = ask("SELECT count(*) FROM issue_release WHERE issue_id = '5'");
	ok(rows == 1 && sound(), "and is there (%lld)", (long long)rows);
	must("DELETE FROM issue_release WHERE issue_id = '5'");
	return d;
}

static struct db *
is_moved(struct db *d)
{
	bool rival;

	put(d, 6);
	hold();
	put(d, 7);
	if (rename(shell_path, away) != 0)
		abort();
	ok(db_begin(d) == FAULT_GONE && db_retire(d, &rival) == FAULT_BUSY,
	    "a reader keeps the log of a file that was moved");
	let_go();
	sqlite3_close(shell);
	ok(db_retire(d, &rival) == FAULT_NONE && bytes_of(wal) < 0,
	    "then it follows the file, and nothing of it is left behind");
	db_abandon(d);
	ok(ask_in(away, "SELECT count(*) FROM issue_release "
	    "WHERE issue_id IN ('6', '7')") == 2 && ask_in(away, "SELECT "
	    "count(*) FROM pragma_quick_check WHERE quick_check = 'ok'") == 1,
	    "with all that was committed");
	d = own();
	shell_open();
	ok(ask("SELECT count(*) FROM issue_release") == 0,
	    "and a new file begins");
	return d;
}

static struct db *
is_cut(struct db *d)
{
	put(d, 8);
	if (db_empty_log(d) != FAULT_NONE || truncate(shell_path,
	    bytes_of(shell_path) - 1) != 0)
		abort();
	ok(db_begin(d) == FAULT_GONE, "a file that was cut is not ours");
	db_abandon(d);
	return NULL;
}

int
main(void)
{
	struct db *d;

	shell_begin();
	snprintf(wal, sizeof(wal), "%s-wal", shell_path);
	snprintf(shm, sizeof(shm), "%s-shm", shell_path);
	snprintf(away, sizeof(away), "%s.away", shell_path);
	d = own();
	shell_open();
	keeps_it_short(d);
	rolls_back(d);
	waits_for_readers(d);
	wipes(d);
	shrinks(d);
	d = loses(d, wal, "a log");
	d = loses(d, shm, "an index");
	d = is_moved(d);
	sqlite3_close(shell);
	shell = NULL;
	db_close(d);
	ok(bytes_of(wal) < 0 && bytes_of(shm) < 0,
	    "the last one who closes it leaves but the database");
	d = own();
	shell_open();
	is_cut(d);
	return shell_end() != 0 ? 1 : tap_done();
}
