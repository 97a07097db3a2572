/* Guards of a process: no root without need, no core dumps, file modes that
 * keep other users out. */
#ifndef PROCESS_GUARD_H
#define PROCESS_GUARD_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

#define EXIT_TEMPFAIL	75	/* EX_TEMPFAIL of sysexits.h */
#define EXIT_NOPERM	77	/* EX_NOPERM of sysexits.h */

/* Whether this process may run as its user. Root is refused, unless `allowed`,
 * where it is surely a mistake: systemd itself started the process (its unit
 * has lost its User=), or the database belongs to another user, who could not
 * write the files that root makes beside it. `why` becomes a message of one
 * line if the user is root, else it is empty. */
#define PROCESS_GUARD_WHY	256	/* bytes, with the NUL */
bool	process_guard_root(const char *db, bool allowed,
	    char why[PROCESS_GUARD_WHY]);

/* Turns core dumps off, those that the kernel pipes to a program as well: they
 * would hold secrets and personal data. Debuggers are not affected. */
void	process_guard_cores(void);

/* From now on SIGTERM, SIGINT and SIGHUP (unless nohup has it ignored) set the
 * flag that this returns. A program that then needs more than `limit_s` seconds
 * to end, since a library or a disk hangs, ends with `status`; 0: it has no
 * limit. SIGPIPE is ignored. */
const volatile sig_atomic_t	*process_guard_signals(unsigned limit_s,
				    int status);

/* The permissions (bits of 07) that other users have on the file at `path`; 0
 * for none, or if there is no file. */
unsigned	process_guard_others(const char *path);

/* Whether this process may change the mode of what is at `path`: a regular file
 * of its own user, or that user's folder whose name is that of the database
 * `db` and "-spool". Other users may need any other folder. */
bool	process_guard_ours(const char *path, const char *db);

/* Takes all permissions on the database, its -wal and -shm, and the spool away
 * from other users, where process_guard_ours() allows it. Calls `say` for each
 * that had been open to them; `closed` says whether it no longer is. */
void	process_guard_files(const char *db, const char *spool,
	    void say(const char *path, bool closed));

#endif
