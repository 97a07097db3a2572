/* A database in a folder of its own, and an operator's shell on it: another
 * connection, by SQLite itself. */
#ifndef SHELL_H
#define SHELL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <sqlite3.h>

static char	shell_folder[] = "/tmp/unit-XXXXXX", shell_path[64];
static sqlite3	*shell;

/* Names the database; it is there once somebody has made it. */
static inline void
shell_begin(void)
{
	if (mkdtemp(shell_folder) == NULL)
		abort();
	snprintf(shell_path, sizeof(shell_path), "%s/o.db", shell_folder);
}

static inline void
shell_open(void)
{
	if (sqlite3_open(shell_path, &shell) != SQLITE_OK)
		abort();
}

/* The number that a statement returns. */
static inline int64_t
ask(const char *sql)
{
	sqlite3_stmt *stmt;
	int64_t n = -1;

	if (sqlite3_prepare_v2(shell, sql, -1, &stmt, NULL) != SQLITE_OK)
		abort();
	if (sqlite3_step(stmt) == SQLITE_ROW)
		n = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	return n;
}

static inline bool
run(const char *sql)
{
	return sqlite3_exec(shell, sql, NULL, NULL, NULL) == SQLITE_OK;
}

/* Removes the folder. */
static inline int
shell_end(void)
{
	char command[64];

	sqlite3_close(shell);
	snprintf(command, sizeof(command), "rm -r %s", shell_folder);
	return system(command);
}

#endif
