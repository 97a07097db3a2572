#include "store/migrate.h"

#include <stdio.h>

#include "schema_sql.h"
#include "store/sql.h"

#define APPLICATION_ID	0x53574f42	/* "SWOB" */

/* These settings have an effect only before the first table is made. Pages of
 * twice SQLite's default size: a row has some 2 KiB, so less of each page stays
 * empty, and fewer pages have to be written. */
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

/* migrations[N] brings version N to N + 1. */
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
	/* Another process may have migrated it since the first look. */
	f = migrate_check(db, &version, why, size);
	for (; f == FAULT_NONE && version < MIGRATE_VERSION; version++)
		f = sql_run(db, migrations[version]);
	snprintf(mark, sizeof(mark), "PRAGMA application_id = %d; "
	    "PRAGMA user_version = %d", APPLICATION_ID,
	    MIGRATE_VERSION);
	if (f == FAULT_NONE)
		f = sql_run(db, mark);
	if (f != FAULT_NONE && why[0] == '\0')
		snprintf(why, size, "%s", sqlite3_errmsg(db));
	return sql_end(db, f);
}
