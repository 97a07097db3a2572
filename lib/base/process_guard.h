/* What keeps others out: no root without need, no core dumps, file modes. */
#ifndef PROCESS_GUARD_H
#define PROCESS_GUARD_H

#include <stdbool.h>
#include <stddef.h>

#define EXIT_NOPERM	77	/* EX_NOPERM of sysexits.h */

/* Whether this process may be what it is. Root is refused, unless `allowed`,
 * where it is surely not meant: when systemd itself started the process (its
 * unit has lost its User=), or when the database is there and belongs to
 * somebody else, who could not write what root makes beside it. `why` is a
 * line; it is empty for those that are not root. */
#define PROCESS_GUARD_WHY	256
bool process_guard_root(
    const char *db, bool allowed, char why[PROCESS_GUARD_WHY]);

/* No core file holds a secret or somebody's data, nor does a core that is
 * piped to a program; debuggers work as ever. */
void	process_guard_cores(void);

/* The rights (07) that others than owner and group have on what is at `path`;
 * 0 for none, or where there is nothing. */
unsigned process_guard_others(const char *path);

/* Whether what is at `path` is this process's to close: a regular file of its
 * own user, or the folder of that user that is named after the database `db`.
 * Any other folder may be one that others need. */
bool	process_guard_ours(const char *path, const char *db);

/* Takes away from others what they may do with the database, its -wal and
 * -shm, and the spool, where they are ours. Each that was open, and whether it
 * is now closed, is told to `say`. */
void	process_guard_files(const char *db, const char *spool,
	    void say(const char *path, bool closed));

#endif
