#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

#include "schema_sql.h"

#define APPLICATION_ID		0x53574f42	/* "SWOB" */
#define SCHEMA_VERSION		1
#define BUSY_MS			50	/* one wait for another writer */
#define OPEN_BUSY_MS		2000	/* the same while opening */
#define CHECKPOINT_PAGES	1000	/* of WAL before a checkpoint pays */
#define WAL_LIMIT_BYTES		67108864

enum statement {
	SQL_BEGIN, SQL_COMMIT, SQL_ROLLBACK,
	SQL_WEBHOOK, SQL_SEEN, SQL_OUTBOX,
	SQL_MAP, SQL_TEACH, SQL_LEARN,
	SQL_PROBE, SQL_EDITS, SQL_UNMAPPED, SQL_REMAP,
	SQL_CENSUS,
	STATEMENTS
};

static const char *const statements[STATEMENTS] = {
	[SQL_BEGIN] = "BEGIN IMMEDIATE",
	[SQL_COMMIT] = "COMMIT",
	[SQL_ROLLBACK] = "ROLLBACK",
	[SQL_WEBHOOK] =
	    "INSERT INTO webhook (received_at, resource, action, installation,"
	    " request_id, idempotency_key, hook_timestamp, secret_name,"
	    " dedupe_key, outcome, body)"
	    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"
	    " ON CONFLICT (dedupe_key) DO NOTHING",
	[SQL_SEEN] =
	    "UPDATE webhook SET seen = seen + 1 WHERE dedupe_key = ?1"
	    " AND NOT (?4 AND received_at = ?2 AND request_id IS ?3)",
	[SQL_OUTBOX] =
	    "INSERT INTO outbox (webhook_id, event_id, created_at,"
	    " workspace_id, store_id, source_type, source_id, title,"
	    " occurred_at, project_id, project_slug, issue_id, short_id,"
	    " level, release, environment, source_event, state, due_at)"
	    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13,"
	    " ?14, ?15, ?16, ?17, ?18, ?3)"
	    " ON CONFLICT (event_id) DO NOTHING",
	/* ?1 project id, ?2 slug, ?3 installation; each branch has its own
	 * index, named by its WHERE. */
	[SQL_MAP] =
	    "SELECT workspace_id, store_id FROM ("
	    " SELECT 1 AS rank, id, installation, workspace_id, store_id"
	    "  FROM workspace_map WHERE project_id = ?1"
	    "  AND (project_slug IS NULL"
	    "   OR lower(?2) GLOB lower(project_slug))"
	    " UNION ALL"
	    " SELECT 2, id, installation, workspace_id, store_id"
	    "  FROM workspace_map WHERE lower(project_slug) = lower(?2)"
	    "  AND project_id IS NULL AND project_slug IS NOT NULL"
	    "  AND project_slug NOT GLOB '*[[*?]*'"
	    " UNION ALL"
	    " SELECT 3, id, installation, workspace_id, store_id"
	    "  FROM workspace_map WHERE project_id IS NULL"
	    "  AND project_slug GLOB '*[[*?]*'"
	    "  AND lower(?2) GLOB lower(project_slug)"
	    " UNION ALL"
	    " SELECT 4, id, installation, workspace_id, store_id"
	    "  FROM workspace_map WHERE project_id IS NULL"
	    "  AND project_slug IS NULL AND installation = ?3"
	    " UNION ALL"
	    " SELECT 5, id, installation, workspace_id, store_id"
	    "  FROM workspace_map WHERE project_id IS NULL"
	    "  AND project_slug IS NULL AND installation IS NULL)"
	    " WHERE installation IS NULL OR installation = ?3"
	    " ORDER BY rank, installation IS NULL, id LIMIT 1",
	[SQL_TEACH] =
	    "INSERT INTO issue_release (issue_id, release, environment,"
	    " first_seen_at, last_seen_at) VALUES (?1, ?2, ?3, ?4, ?4)"
	    " ON CONFLICT DO UPDATE SET"
	    " first_seen_at = min(first_seen_at, ?4),"
	    " last_seen_at = max(last_seen_at, ?4)",
	[SQL_LEARN] =
	    "SELECT release FROM issue_release WHERE issue_id = ?1"
	    " ORDER BY last_seen_at DESC, first_seen_at DESC LIMIT 1",
	[SQL_PROBE] = "UPDATE workspace_map_edits SET edits = edits",
	[SQL_EDITS] = "SELECT edits FROM workspace_map_edits",
	[SQL_UNMAPPED] =
	    "SELECT o.id, o.project_id, o.project_slug, w.installation"
	    " FROM outbox o JOIN webhook w ON w.id = o.webhook_id"
	    " WHERE o.state = 'unmapped' AND o.id > ?1"
	    " ORDER BY o.id LIMIT ?2",
	[SQL_REMAP] =
	    "UPDATE outbox SET workspace_id = ?2, store_id = ?3,"
	    " state = 'pending' WHERE id = ?1 AND state = 'unmapped'",
	[SQL_CENSUS] =
	    "SELECT"
	    " (SELECT count(*) FROM outbox WHERE state = 'pending'),"
	    " (SELECT count(*) FROM outbox WHERE state = 'unmapped'),"
	    " (SELECT count(*) FROM outbox WHERE state = 'acked'),"
	    " (SELECT count(*) FROM outbox WHERE state = 'dead'),"
	    " (SELECT created_at FROM outbox WHERE state = 'pending'"
	    "  ORDER BY due_at, id LIMIT 1),"
	    " (SELECT user_version FROM pragma_user_version)",
};

struct store {
	sqlite3		*db;
	sqlite3_stmt	*stmt[STATEMENTS];
	enum store_mode	 mode;
	int		 gate;		/* the lock file, see gate_take() */
	int		 wal_pages;	/* after the last commit */
	dev_t		 dev;
	ino_t		 ino;
	char		 path[PATH_MAX];
};

static enum fault
fault_of(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return FAULT_NONE;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return FAULT_BUSY;
	case SQLITE_FULL:
		return FAULT_FULL;
	case SQLITE_NOMEM:
		return FAULT_MEMORY;
	case SQLITE_READONLY:
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return FAULT_DENIED;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return FAULT_CORRUPT;
	case SQLITE_CONSTRAINT:
	case SQLITE_TOOBIG:
	case SQLITE_MISMATCH:
		return FAULT_REFUSED;
	case SQLITE_CANTOPEN:
		return errno == ENOSPC ? FAULT_FULL : FAULT_IO;
	default:
		return FAULT_IO;
	}
}

const char *
store_why(const struct store *s)
{
	return sqlite3_errmsg(s->db);
}

const char *
store_sqlite_version(void)
{
	return sqlite3_libversion();
}

static enum fault
execute(struct store *s, const char *sql)
{
	return fault_of(sqlite3_exec(s->db, sql, NULL, NULL, NULL));
}

/* The number that a pragma or a count returns. */
static enum fault
number(struct store *s, const char *sql, int64_t *n)
{
	sqlite3_stmt *stmt;
	int rc;

	*n = 0;
	rc = sqlite3_prepare_v2(s->db, sql, -1, &stmt, NULL);
	if (rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW)
		*n = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	return fault_of(rc);
}

/* ---- the gate ----
 *
 * SQLite 3.7.0 to 3.51.2 can lose a commit that one connection makes in the
 * instant of another's checkpoint. Between our own processes a lock file
 * keeps the two apart: shared to write, exclusive to checkpoint. Nobody ever
 * waits for it longer than a checkpoint takes. */

static bool
gate_take(struct store *s, int how)
{
	int rc;

	do
		rc = flock(s->gate, how | LOCK_NB);
	while (rc != 0 && errno == EINTR);
	return rc == 0;
}

static void
gate_leave(struct store *s)
{
	(void)flock(s->gate, LOCK_UN);
}

static enum fault
gate_open(struct store *s)
{
	char path[PATH_MAX + 8];

	snprintf(path, sizeof(path), "%s-lock", s->path);
	s->gate = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
	return s->gate < 0 ? fault_errno(errno) : FAULT_NONE;
}

/* ---- opening ---- */

static int
count_wal(void *arg, sqlite3 *db, const char *name, int pages)
{
	(void)db;
	(void)name;
	((struct store *)arg)->wal_pages = pages;
	return SQLITE_OK;
}

static enum fault
check_version(struct store *s, int64_t *version, char why[STORE_WHY])
{
	int64_t id, tables;
	enum fault f;

	if ((f = number(s, "PRAGMA application_id", &id)) != FAULT_NONE ||
	    (f = number(s, "PRAGMA user_version", version)) != FAULT_NONE ||
	    (f = number(s, "SELECT count(*) FROM sqlite_schema", &tables)) !=
	    FAULT_NONE)
		return f;
	if (id != APPLICATION_ID && (tables > 0 || id != 0)) {
		snprintf(why, STORE_WHY, "it is another program's database: "
		    "choose another file");
		return FAULT_FOREIGN;
	}
	if (*version > SCHEMA_VERSION) {
		snprintf(why, STORE_WHY, "its version %lld is newer than this "
		    "program's %d: install the newer sentry-webhooks",
		    (long long)*version, SCHEMA_VERSION);
		return FAULT_NEWER;
	}
	return FAULT_NONE;
}

/* Every version's step from the one before it. */
static const char *const migrations[SCHEMA_VERSION] = {
	schema_sql,
};

static enum fault
migrate(struct store *s, char why[STORE_WHY])
{
	int64_t version = 0;
	char mark[96];
	enum fault f;

	if ((f = check_version(s, &version, why)) != FAULT_NONE ||
	    version == SCHEMA_VERSION)
		return f;
	/* Only an empty file takes this one. */
	if (version == 0 &&
	    (f = execute(s, "PRAGMA auto_vacuum = INCREMENTAL")) != FAULT_NONE)
		return f;
	if ((f = execute(s, "BEGIN EXCLUSIVE")) != FAULT_NONE)
		return f;
	/* Another process may have been quicker. */
	f = check_version(s, &version, why);
	for (; f == FAULT_NONE && version < SCHEMA_VERSION; version++)
		f = execute(s, migrations[version]);
	snprintf(mark, sizeof(mark), "PRAGMA application_id = %d; "
	    "PRAGMA user_version = %d; COMMIT", APPLICATION_ID,
	    SCHEMA_VERSION);
	if (f == FAULT_NONE)
		f = execute(s, mark);
	if (f != FAULT_NONE && why[0] == '\0')
		snprintf(why, STORE_WHY, "%s", store_why(s));
	if (f != FAULT_NONE)
		(void)execute(s, "ROLLBACK");
	return f;
}

static enum fault
prepare(struct store *s)
{
	enum fault f = FAULT_NONE;

	for (int i = 0; i < STATEMENTS && f == FAULT_NONE; i++)
		f = fault_of(sqlite3_prepare_v3(s->db, statements[i], -1,
		    SQLITE_PREPARE_PERSISTENT, &s->stmt[i], NULL));
	return f;
}

static enum fault
remember_file(struct store *s)
{
	struct stat st;

	if (stat(s->path, &st) != 0)
		return fault_errno(errno);
	s->dev = st.st_dev;
	s->ino = st.st_ino;
	return FAULT_NONE;
}

static enum fault
set_up(struct store *s, char why[STORE_WHY])
{
	static const char read_pragmas[] =
	    "PRAGMA wal_autocheckpoint = 0; PRAGMA query_only = ON;";
	static const char write_pragmas[] =
	    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
	    "PRAGMA wal_autocheckpoint = 0; PRAGMA temp_store = MEMORY;";
	char limit[64];
	int64_t version;
	enum fault f;

	sqlite3_busy_timeout(s->db, OPEN_BUSY_MS);
	sqlite3_extended_result_codes(s->db, 1);
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	if (s->mode == STORE_READ) {
		if ((f = check_version(s, &version, why)) == FAULT_NONE &&
		    version < SCHEMA_VERSION)
			f = FAULT_FOREIGN;
		return f == FAULT_NONE ? execute(s, read_pragmas) : f;
	}
	/* Whose file it is comes first: WAL mode would already change it. */
	if ((f = check_version(s, &version, why)) != FAULT_NONE ||
	    (f = migrate(s, why)) != FAULT_NONE ||
	    (f = execute(s, write_pragmas)) != FAULT_NONE)
		return f;
	snprintf(limit, sizeof(limit), "PRAGMA journal_size_limit = %d",
	    WAL_LIMIT_BYTES);
	sqlite3_wal_hook(s->db, count_wal, s);
	s->wal_pages = CHECKPOINT_PAGES;	/* whatever a crash left */
	return execute(s, limit);
}

enum fault
store_open(struct store **out, const char *path, enum store_mode mode,
    char why[STORE_WHY])
{
	int flags = SQLITE_OPEN_NOMUTEX | (mode == STORE_WRITE ?
	    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE :
	    SQLITE_OPEN_READWRITE);
	struct store *s = calloc(1, sizeof(*s));
	enum fault f;

	*out = NULL;
	why[0] = '\0';
	if (s == NULL)
		return FAULT_MEMORY;
	s->gate = -1;
	s->mode = mode;
	if ((size_t)snprintf(s->path, sizeof(s->path), "%s", path) >=
	    sizeof(s->path)) {
		snprintf(why, STORE_WHY, "the path is too long");
		free(s);
		return FAULT_IO;
	}
	if ((f = fault_of(sqlite3_open_v2(path, &s->db, flags, NULL))) ==
	    FAULT_NONE)
		f = set_up(s, why);
	if (f == FAULT_NONE && mode == STORE_WRITE)
		f = gate_open(s);
	if (f == FAULT_NONE && (f = prepare(s)) == FAULT_NONE)
		f = remember_file(s);
	if (f != FAULT_NONE) {
		if (why[0] == '\0')
			snprintf(why, STORE_WHY, "%s", store_why(s));
		store_abandon(s);
		return f;
	}
	sqlite3_busy_timeout(s->db, BUSY_MS);
	*out = s;
	return FAULT_NONE;
}

void
store_abandon(struct store *s)
{
	for (int i = 0; i < STATEMENTS; i++)
		sqlite3_finalize(s->stmt[i]);
	sqlite3_close(s->db);
	if (s->gate >= 0)
		close(s->gate);
	free(s);
}

void
store_close(struct store *s)
{
	if (s == NULL)
		return;
	if (s->mode == STORE_WRITE && gate_take(s, LOCK_EX)) {
		(void)sqlite3_wal_checkpoint_v2(s->db, NULL,
		    SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
		gate_leave(s);
	}
	store_abandon(s);
}

/* ---- statements ---- */

static void
bind(sqlite3_stmt *stmt, int i, struct span s)
{
	if (s.at == NULL)
		sqlite3_bind_null(stmt, i);
	else
		sqlite3_bind_text64(stmt, i, s.at, s.len, SQLITE_STATIC,
		    SQLITE_UTF8);
}

/* Runs a statement that returns no row, and frees it for the next use. */
static enum fault
run(struct store *s, enum statement which)
{
	sqlite3_stmt *stmt = s->stmt[which];
	int rc = sqlite3_step(stmt);

	sqlite3_reset(stmt);
	return fault_of(rc);
}

static void
finish(sqlite3_stmt *stmt)
{
	sqlite3_reset(stmt);
	sqlite3_clear_bindings(stmt);
}

static struct span
column(sqlite3_stmt *stmt, int i)
{
	const unsigned char *at = sqlite3_column_text(stmt, i);

	return (struct span){ (const char *)at,
	    (size_t)sqlite3_column_bytes(stmt, i) };
}

/* ---- transactions ---- */

enum fault
store_begin(struct store *s)
{
	struct stat st;
	enum fault f;

	if (stat(s->path, &st) != 0 || st.st_ino != s->ino ||
	    st.st_dev != s->dev)
		return FAULT_GONE;
	if (!gate_take(s, LOCK_SH))
		return FAULT_BUSY;
	if ((f = run(s, SQL_BEGIN)) != FAULT_NONE)
		gate_leave(s);
	return f;
}

enum fault
store_commit(struct store *s)
{
	enum fault f = run(s, SQL_COMMIT);

	if (f == FAULT_NONE)
		gate_leave(s);
	return f;
}

void
store_rollback(struct store *s)
{
	if (!sqlite3_get_autocommit(s->db))
		(void)run(s, SQL_ROLLBACK);
	gate_leave(s);
}

void
store_checkpoint(struct store *s)
{
	if (s->wal_pages < CHECKPOINT_PAGES || !gate_take(s, LOCK_EX))
		return;
	if (sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_PASSIVE,
	    NULL, NULL) == SQLITE_OK)
		s->wal_pages = 0;
	gate_leave(s);
}

/* ---- keeping ---- */

static enum fault
put_webhook(struct store *s, const struct hook *h,
    const struct observation *o)
{
	sqlite3_stmt *stmt = s->stmt[SQL_WEBHOOK];
	enum fault f;

	sqlite3_bind_int64(stmt, 1, h->received_at);
	bind(stmt, 2, observation_get(o, OBSERVED_RESOURCE));
	bind(stmt, 3, observation_get(o, OBSERVED_ACTION));
	bind(stmt, 4, observation_get(o, OBSERVED_INSTALLATION));
	bind(stmt, 5, h->request_id);
	bind(stmt, 6, h->idempotency_key);
	bind(stmt, 7, h->timestamp);
	bind(stmt, 8, h->secret_name);
	bind(stmt, 9, observation_get(o, OBSERVED_DEDUPE_KEY));
	bind(stmt, 10, span_of(outcome_name(o->outcome)));
	sqlite3_bind_blob64(stmt, 11, h->body.len > 0 ? h->body.at : "",
	    h->body.len, SQLITE_STATIC);
	f = run(s, SQL_WEBHOOK);
	sqlite3_clear_bindings(stmt);
	return f;
}

static enum fault
count_seen(struct store *s, const struct hook *h, const struct observation *o,
    enum origin origin)
{
	sqlite3_stmt *stmt = s->stmt[SQL_SEEN];
	enum fault f;

	bind(stmt, 1, observation_get(o, OBSERVED_DEDUPE_KEY));
	sqlite3_bind_int64(stmt, 2, h->received_at);
	bind(stmt, 3, h->request_id);
	sqlite3_bind_int(stmt, 4, origin == FROM_SPOOL);
	f = run(s, SQL_SEEN);
	sqlite3_clear_bindings(stmt);
	return f;
}

static enum fault
teach(struct store *s, const struct hook *h, const struct observation *o)
{
	sqlite3_stmt *stmt = s->stmt[SQL_TEACH];
	struct span issue = observation_get(o, OBSERVED_ISSUE_ID);
	struct span release = observation_get(o, OBSERVED_RELEASE);
	struct span environment = observation_get(o, OBSERVED_ENVIRONMENT);
	enum fault f;

	if (issue.len == 0 || release.len == 0)
		return FAULT_NONE;
	bind(stmt, 1, issue);
	bind(stmt, 2, release);
	bind(stmt, 3, environment.at == NULL ? span_of("") : environment);
	sqlite3_bind_int64(stmt, 4, h->received_at);
	f = run(s, SQL_TEACH);
	sqlite3_clear_bindings(stmt);
	return f;
}

static enum fault
learn(struct store *s, struct observation *o)
{
	sqlite3_stmt *stmt = s->stmt[SQL_LEARN];
	enum fault f;
	int rc;

	bind(stmt, 1, observation_get(o, OBSERVED_ISSUE_ID));
	rc = sqlite3_step(stmt);
	f = fault_of(rc);
	if (rc == SQLITE_ROW && observation_learn(o, column(stmt, 0)) != 0)
		f = FAULT_MEMORY;
	finish(stmt);
	return f;
}

/* Steps SQL_MAP: *found says whether a row stands ready in it. The caller
 * finishes it. */
static enum fault
find_workspace(struct store *s, struct span project_id,
    struct span project_slug, struct span installation, bool *found)
{
	sqlite3_stmt *stmt = s->stmt[SQL_MAP];
	int rc;

	bind(stmt, 1, project_id);
	bind(stmt, 2, project_slug);
	bind(stmt, 3, installation);
	rc = sqlite3_step(stmt);
	*found = rc == SQLITE_ROW;
	return fault_of(rc);
}

static void
bind_observation(sqlite3_stmt *stmt, const struct observation *o)
{
	static const struct {
		int		column;
		enum observed	field;
	} table[] = {
		{ 2, OBSERVED_EVENT_ID }, { 6, OBSERVED_SOURCE_TYPE },
		{ 7, OBSERVED_SOURCE_ID }, { 8, OBSERVED_TITLE },
		{ 9, OBSERVED_OCCURRED_AT }, { 10, OBSERVED_PROJECT_ID },
		{ 11, OBSERVED_PROJECT_SLUG }, { 12, OBSERVED_ISSUE_ID },
		{ 13, OBSERVED_SHORT_ID }, { 14, OBSERVED_LEVEL },
		{ 15, OBSERVED_RELEASE }, { 16, OBSERVED_ENVIRONMENT },
		{ 17, OBSERVED_SOURCE_EVENT },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		bind(stmt, table[i].column,
		    observation_get(o, table[i].field));
}

static enum fault
put_outbox(struct store *s, const struct hook *h, const struct observation *o,
    bool *unmapped)
{
	sqlite3_stmt *stmt = s->stmt[SQL_OUTBOX], *map = s->stmt[SQL_MAP];
	struct span none = { NULL, 0 };
	bool found;
	enum fault f;

	sqlite3_bind_int64(stmt, 1, sqlite3_last_insert_rowid(s->db));
	f = find_workspace(s, observation_get(o, OBSERVED_PROJECT_ID),
	    observation_get(o, OBSERVED_PROJECT_SLUG),
	    observation_get(o, OBSERVED_INSTALLATION), &found);
	*unmapped = !found;
	sqlite3_bind_int64(stmt, 3, h->received_at);
	bind(stmt, 4, found ? column(map, 0) : none);
	bind(stmt, 5, found ? column(map, 1) : none);
	bind(stmt, 18, span_of(found ? "pending" : "unmapped"));
	bind_observation(stmt, o);
	if (f == FAULT_NONE)
		f = run(s, SQL_OUTBOX);
	sqlite3_clear_bindings(stmt);
	finish(map);
	return f;
}

enum fault
store_put(struct store *s, const struct hook *h, struct observation *o,
    enum origin origin, struct stored *stored)
{
	enum fault f;

	*stored = (struct stored){ false, false };
	if ((f = put_webhook(s, h, o)) != FAULT_NONE)
		return f;
	if (sqlite3_changes(s->db) == 0) {
		stored->duplicate = true;
		return count_seen(s, h, o, origin);
	}
	if (o->outcome == OUTCOME_OBSERVED) {
		if (o->asks && (f = learn(s, o)) != FAULT_NONE)
			return f;
		if ((f = put_outbox(s, h, o, &stored->unmapped)) !=
		    FAULT_NONE)
			return f;
	}
	return o->teaches ? teach(s, h, o) : FAULT_NONE;
}

enum fault
store_probe(struct store *s)
{
	return run(s, SQL_PROBE);
}

/* ---- mapping what came before its row ---- */

enum fault
store_map_edits(struct store *s, int64_t *edits)
{
	sqlite3_stmt *stmt = s->stmt[SQL_EDITS];
	int rc = sqlite3_step(stmt);

	*edits = rc == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : 0;
	finish(stmt);
	return fault_of(rc);
}

static enum fault
remap_row(struct store *s, sqlite3_stmt *row)
{
	sqlite3_stmt *map = s->stmt[SQL_MAP], *stmt = s->stmt[SQL_REMAP];
	bool found;
	enum fault f = find_workspace(s, column(row, 1), column(row, 2),
	    column(row, 3), &found);

	if (found) {
		sqlite3_bind_int64(stmt, 1, sqlite3_column_int64(row, 0));
		bind(stmt, 2, column(map, 0));
		bind(stmt, 3, column(map, 1));
		f = run(s, SQL_REMAP);
		sqlite3_clear_bindings(stmt);
	}
	finish(map);
	return f;
}

enum fault
store_remap(struct store *s, int64_t *cursor, unsigned limit, bool *more)
{
	sqlite3_stmt *stmt = s->stmt[SQL_UNMAPPED];
	enum fault f = FAULT_NONE;
	unsigned rows = 0;
	int rc = SQLITE_DONE;

	sqlite3_bind_int64(stmt, 1, *cursor);
	sqlite3_bind_int64(stmt, 2, limit);
	while (f == FAULT_NONE && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		*cursor = sqlite3_column_int64(stmt, 0);
		rows++;
		f = remap_row(s, stmt);
	}
	if (f == FAULT_NONE)
		f = fault_of(rc);
	finish(stmt);
	*more = rows == limit;
	return f;
}

/* ---- counting ---- */

static int64_t
wal_bytes(const struct store *s)
{
	char path[PATH_MAX + 8];
	struct stat st;

	snprintf(path, sizeof(path), "%s-wal", s->path);
	return stat(path, &st) == 0 ? (int64_t)st.st_size : 0;
}

enum fault
store_census(struct store *s, struct census *c)
{
	sqlite3_stmt *stmt = s->stmt[SQL_CENSUS];
	int rc = sqlite3_step(stmt);

	*c = (struct census){ .wal_bytes = wal_bytes(s) };
	if (rc == SQLITE_ROW) {
		c->pending = sqlite3_column_int64(stmt, 0);
		c->unmapped = sqlite3_column_int64(stmt, 1);
		c->acked = sqlite3_column_int64(stmt, 2);
		c->dead = sqlite3_column_int64(stmt, 3);
		c->oldest_pending = sqlite3_column_int64(stmt, 4);
		c->user_version = sqlite3_column_int64(stmt, 5);
	}
	finish(stmt);
	return fault_of(rc);
}
