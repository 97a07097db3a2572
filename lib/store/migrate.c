#include "store/migrate.h"

#include <stdio.h>

#include "schema_sql.h"
#include "store/sql.h"

#define APPLICATION_ID	0x53574f42	/* "SWOB" */

/* Only an empty file takes these. Pages of twice SQLite's own size: of rows of
 * some 2 KiB they leave less of the disk empty, and fewer are to be written. */
#define NEW_FILE	"PRAGMA page_size = 8192;" \
			"PRAGMA auto_vacuum = INCREMENTAL"

enum fault
migrate_check(sqlite3 *db, int64_t *version, char *why, size_t size)
{
	int64_t id, tables;
	enum fault f;

	if ((f = sql_number(db, "PRAGMA application_id", &id)) !=
	    FAULT_NONE ||
	    (f = sql_number(db, "PRAGMA user_version", version)) !=
	    FAULT_NONE ||
	    (f = sql_number(db, "SELECT count(*) FROM sqlite_schema",
	    &tables)) != FAULT_NONE)
		return f;
	if (id != APPLICATION_ID && (tables > 0 || id != 0)) {
		snprintf(why, size, "it is another program's database: "
		    "choose another file");
		return FAULT_FOREIGN;
	}
	if (*version > MIGRATE_VERSION) {
		snprintf(why, size, "its version %lld is newer than this "
		    "program's %d: install the newer sentry-webhooks",
		    (long long)*version, MIGRATE_VERSION);
		return FAULT_NEWER;
	}
	return FAULT_NONE;
}

/* Every version's step from the one before it. */
static const char *const migrations[MIGRATE_VERSION] = { schema_sql };

enum fault
migrate(sqlite3 *db, char *why, size_t size)
{
	int64_t version = 0;
	char mark[96];
	enum fault f;

	if ((f = migrate_check(db, &version, why, size)) != FAULT_NONE ||
	    version == MIGRATE_VERSION)
		return f;
	if (version == 0 && (f = sql_run(db, NEW_FILE)) != FAULT_NONE)
		return f;
	if ((f = sql_run(db, "BEGIN EXCLUSIVE")) != FAULT_NONE)
		return f;
	/* Another process may have been quicker. */
	f = migrate_check(db, &version, why, size);
	for (; f == FAULT_NONE && version < MIGRATE_VERSION; version++)
		f = sql_run(db, migrations[version]);
	snprintf(mark, sizeof(mark), "PRAGMA application_id = %d; "
	    "PRAGMA user_version = %d; COMMIT", APPLICATION_ID,
	    MIGRATE_VERSION);
	if (f == FAULT_NONE)
		f = sql_run(db, mark);
	if (f != FAULT_NONE && why[0] == '\0')
		snprintf(why, size, "%s", sqlite3_errmsg(db));
	if (f != FAULT_NONE)
		(void)sql_run(db, "ROLLBACK");
	return f;
}
