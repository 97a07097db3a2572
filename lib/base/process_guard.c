#include "base/process_guard.h"

#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define OTHERS		(S_IROTH | S_IWOTH | S_IXOTH)
#define ALL_MODES	07777	/* st_mode without the type of the file */

/* What process_guard_signals() sets up; a handler has no argument. */
static volatile sig_atomic_t signal_came;
static unsigned signal_limit_s;
static int signal_status;

static void
note_signal(int sig)
{
	(void)sig;
	signal_came = 1;
	alarm(signal_limit_s);
}

static void
exit_on_alarm(int sig)
{
	(void)sig;
	_exit(signal_status);
}

const volatile sig_atomic_t *
process_guard_signals(unsigned limit_s, int status)
{
	const struct sigaction note = { .sa_handler = note_signal };
	const struct sigaction end = { .sa_handler = exit_on_alarm };
	struct sigaction before;

	signal_limit_s = limit_s;
	signal_status = status;
	sigaction(SIGALRM, &end, NULL);
	sigaction(SIGTERM, &note, NULL);
	sigaction(SIGINT, &note, NULL);
	if (sigaction(SIGHUP, NULL, &before) == 0 &&
	    before.sa_handler != SIG_IGN)
		sigaction(SIGHUP, &note, NULL);
	signal(SIGPIPE, SIG_IGN);
	return &signal_came;
}

/* systemd (since 248) sets SYSTEMD_EXEC_PID to the number of the process that
 * it starts. Children of that process inherit the variable, but have other
 * numbers. */
static bool
systemd_started_us(void)
{
	const char *s = getenv("SYSTEMD_EXEC_PID");

	return s != NULL && strtol(s, NULL, 10) == (long)getpid();
}

static void
name_owner(char *buf, size_t size, uid_t uid)
{
	const struct passwd *p = getpwuid(uid);

	if (p != NULL)
		snprintf(buf, size, "%.32s", p->pw_name);
	else
		snprintf(buf, size, "user %lu", (unsigned long)uid);
}

bool
process_guard_root(const char *db, bool allowed, char why[PROCESS_GUARD_WHY])
{
	struct stat st;
	char owner[48];

	why[0] = '\0';
	if (geteuid() != 0)
		return true;
	if (stat(db, &st) == 0 && st.st_uid != 0) {
		name_owner(owner, sizeof(owner), st.st_uid);
		snprintf(why, PROCESS_GUARD_WHY,
		    "running as root, but %.100s belongs to %s: run it as "
		    "that user, or say --allow-root", db, owner);
		return allowed;
	}
	if (systemd_started_us()) {
		snprintf(why, PROCESS_GUARD_WHY,
		    "running as root: give the unit a User=, or say "
		    "--allow-root");
		return allowed;
	}
	snprintf(why, PROCESS_GUARD_WHY, "running as root: a user of its own "
	    "is enough, and safer");
	return true;
}

/* 1 byte is too small for any core file, and it is the one value with which the
 * kernel starts no program for a piped core either (core(5)). */
void
process_guard_cores(void)
{
	(void)setrlimit(RLIMIT_CORE, &(struct rlimit){ 1, 1 });
}

unsigned
process_guard_others(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? st.st_mode & OTHERS : 0;
}

bool
process_guard_ours(const char *path, const char *db)
{
	char spool[PATH_MAX + 8];
	struct stat st;

	if (stat(path, &st) != 0 || st.st_uid != geteuid())
		return false;
	snprintf(spool, sizeof(spool), "%s-spool", db);
	return S_ISREG(st.st_mode) ||
	    (S_ISDIR(st.st_mode) && strcmp(path, spool) == 0);
}

/* By the path, not by a descriptor: closing any descriptor of the database
 * would drop SQLite's POSIX locks. */
static void
close_to_others(const char *path, const char *db,
    void say(const char *path, bool closed))
{
	struct stat st;

	if (stat(path, &st) == 0 && (st.st_mode & OTHERS) != 0)
		say(path, process_guard_ours(path, db) &&
		    chmod(path, st.st_mode & ALL_MODES &
		    ~(mode_t)OTHERS) == 0);
}

void
process_guard_files(const char *db, const char *spool,
    void say(const char *, bool closed))
{
	static const char *const suffixes[] = { "", "-wal", "-shm" };
	char path[PATH_MAX + 8];

	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		snprintf(path, sizeof(path), "%s%s", db, suffixes[i]);
		close_to_others(path, db, say);
	}
	close_to_others(spool, db, say);
}
