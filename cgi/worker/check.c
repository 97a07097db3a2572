#include "worker/check.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/environment.h"
#include "base/process_guard.h"
#include "worker/keyring.h"
#include "server/listen.h"
#include "store/spool.h"
#include "store/store.h"

static bool
say(bool good, const char *what, const char *where, const char *how)
{
	printf("%-8s %-6s %s%s%s\n", what, good ? "ok" : "FAILED", where,
	    *where != '\0' ? ": " : "", how);
	return good;
}

/* What is said of a file or folder that everybody may look into. */
static const char *
open_to_others(const char *path, const char *db)
{
	if (process_guard_others(path) == 0)
		return "";
	return process_guard_ours(path, db)
		   ? "; it is open to others until the "
		     "worker starts"
		   : "; it is open to others: chmod o= it";
}

/* Whether a file or folder could be made at `path`. */
static bool
can_create(const char *path, const char **how)
{
	char copy[PATH_MAX];

	if ((size_t)snprintf(copy, sizeof(copy), "%s", path) >= sizeof(copy))
		*how = "the path is too long";
	else if (access(dirname(copy), W_OK | X_OK) != 0)
		*how = strerror(errno);
	else
		return true;
	return false;
}

static bool
check_secrets(const struct options *o)
{
	struct keyring *k = keyring_open(o->secret_list, o->secret_file);
	struct keyring_loan keys;
	char how[128];
	size_t n;

	if (k == NULL)
		return say(false, "secret", "", "out of memory");
	keyring_borrow(k, &keys);
	n = keyring_loan_count(&keys);
	keyring_release(&keys);
	keyring_close(k);
	snprintf(how, sizeof(how), n == 0 ? "none: set SENTRY_CLIENT_SECRET "
	    "or --secret-file" : n == 1 ? "1 secret" : "%zu secrets", n);
	return say(n > 0, "secret", o->secret_file != NULL ? o->secret_file :
	    "", how);
}

static bool
check_database(const struct options *o)
{
	char why[DB_WHY] = "", how[192];
	struct db *s;
	struct backlog c;
	const char *bad;
	enum fault f;

	if (access(o->db, F_OK) != 0) {
		if (!can_create(o->db, &bad))
			return say(false, "database", o->db, bad);
		return say(true, "database", o->db, "not there yet: it will "
		    "be created");
	}
	f = store_open(&s, o->db, DB_READ, why);
	if (f == FAULT_NONE) {
		f = store_count_backlog(s, &c);
		db_close(s);
	}
	if ((f == FAULT_NONE || f == FAULT_OLDER) &&
	    access(o->db, W_OK) != 0) {
		f = FAULT_DENIED;
		snprintf(why, sizeof(why), "%s", strerror(errno));
	}
	if (f == FAULT_OLDER)
		return say(true, "database", o->db, "empty, or of an older "
		    "version: it will be brought up to date");
	if (f != FAULT_NONE)
		return say(false, "database", o->db, why[0] != '\0' ? why :
		    fault_name(f));
	snprintf(how, sizeof(how), "version %lld, SQLite %s; %lld pending, "
	    "%lld unmapped, %lld dead%s", (long long)c.user_version,
	    db_sqlite_version(), (long long)c.pending,
	    (long long)c.unmapped, (long long)c.dead,
	    open_to_others(o->db, o->db));
	return say(true, "database", o->db, how);
}

static enum fault
count_bad(void *count, int dir, const char *name)
{
	(void)dir;
	*(unsigned *)count += spool_has_suffix(name, SPOOL_HOOK SPOOL_BAD);
	return FAULT_NONE;
}

/* Of the spool's files those that were set aside; 0 where it cannot be read. */
static unsigned
set_aside(const char *spool)
{
	unsigned count = 0;
	int dir = open(spool, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir >= 0) {
		(void)(spool_each_name(dir, count_bad, &count) == FAULT_NONE);
		close(dir);
	}
	return count;
}

static bool
check_spool(const struct options *o)
{
	struct stat st;
	const char *how;
	char text[96];
	unsigned bad;

	if (stat(o->spool, &st) != 0)
		return can_create(o->spool, &how) ? say(true, "spool",
		    o->spool, "not there yet: it will be created") :
		    say(false, "spool", o->spool, how);
	if (!S_ISDIR(st.st_mode))
		return say(false, "spool", o->spool, "not a folder");
	if (access(o->spool, R_OK | W_OK | X_OK) != 0)
		return say(false, "spool", o->spool, strerror(errno));
	if ((bad = set_aside(o->spool)) > 0) {
		snprintf(text, sizeof(text), "%u set aside: see --retry-bad",
		    bad);
		return say(false, "spool", o->spool, text);
	}
	snprintf(text, sizeof(text), "writable%s",
	    open_to_others(o->spool, o->db));
	return say(true, "spool", o->spool, text);
}

static bool
check_socket(const struct options *o)
{
	struct listener l;
	char why[LISTEN_WHY];
	const char *how;

	if (o->socket == NULL)
		return say(true, "socket", "", listen_inherited(&l) ?
		    "inherited on fd 0" : "none: give --socket, or a "
		    "listening socket on fd 0 (or run it as CGI)");
	if (listen_check(o->socket, why) != 0)
		return say(false, "socket", o->socket, why);
	if (listen_is_path(o->socket) && !can_create(o->socket, &how))
		return say(false, "socket", o->socket, how);
	return say(true, "socket", o->socket, (o->socket_mode & 07) == 0 ?
	    "free" : "free; everybody here may connect");
}

int
check(const struct options *o)
{
	bool good = check_secrets(o);

	environment_warn_unknown();
	good = check_database(o) && good;
	good = check_spool(o) && good;
	good = check_socket(o) && good;
	return good ? 0 : 1;
}
