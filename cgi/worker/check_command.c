#include "worker/check_command.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/environment.h"
#include "base/process_guard.h"
#include "server/listen.h"
#include "store/spool.h"
#include "worker/keyring.h"
#include "worker/status.h"

/* Prints the line of a part, and returns `good`. */
__attribute__((format(printf, 4, 5)))
static bool
check_print(bool good, const char *what, const char *where,
    const char *format, ...)
{
	va_list ap;

	printf("%-8s %-6s %s%s", what, good ? "ok" : "FAILED", where,
	    *where != '\0' ? ": " : "");
	va_start(ap, format);
	vprintf(format, ap);
	va_end(ap);
	puts("");
	return good;
}

/* What is added for a file or folder that everybody may look into. */
static const char *
check_others(const char *path, const char *db)
{
	if (process_guard_others(path) == 0)
		return "";
	return process_guard_ours(path, db) ? "; it is open to others until "
	    "the worker starts" : "; it is open to others: chmod o= it";
}

/* Why no file or folder can be made at `path`; NULL: one can. */
static const char *
check_cannot_create(const char *path)
{
	char copy[PATH_MAX];

	if ((size_t)snprintf(copy, sizeof(copy), "%s", path) >= sizeof(copy))
		return "the path is too long";
	return access(dirname(copy), W_OK | X_OK) == 0 ? NULL :
	    strerror(errno);
}

static bool
check_missing(const char *what, const char *path)
{
	const char *why = check_cannot_create(path);

	return check_print(why == NULL, what, path, "%s", why != NULL ? why :
	    "not there yet: it will be created");
}

/* Says nothing of a user who may. */
static bool
check_user(const struct options *o)
{
	char why[PROCESS_GUARD_WHY];

	return process_guard_root(o->serve.db, o->serve.allow_root, why) ||
	    check_print(false, "user", "", "%s", why);
}

static bool
check_secrets(const struct options *o)
{
	const char *file = o->secret_file != NULL ? o->secret_file : "";
	struct keyring *k = keyring_open(o->secret_list, o->secret_file);
	size_t n;

	if (k == NULL)
		return check_print(false, "secret", "", "out of memory");
	n = keyring_count(k);
	keyring_close(k);
	if (n == 0)
		return check_print(false, "secret", file,
		    "none: set SENTRY_CLIENT_SECRET or --secret-file");
	return check_print(true, "secret", file, "%zu secret%s", n,
	    n == 1 ? "" : "s");
}

static bool
check_database(const struct options *o)
{
	const char *db = o->serve.db;
	char why[DB_WHY] = "";
	struct backlog b;
	enum fault f;

	if (access(db, F_OK) != 0)
		return check_missing("database", db);
	f = status_count_backlog(db, &b, why);
	if ((f == FAULT_NONE || f == FAULT_OLDER) && access(db, W_OK) != 0) {
		f = FAULT_DENIED;
		snprintf(why, sizeof(why), "%s", strerror(errno));
	}
	if (f == FAULT_OLDER)
		return check_print(true, "database", db, "empty, or of an "
		    "older version: it will be brought up to date");
	if (f != FAULT_NONE)
		return check_print(false, "database", db, "%s",
		    why[0] != '\0' ? why : fault_name(f));
	return check_print(true, "database", db, "version %lld, SQLite %s; "
	    "%lld pending, %lld unmapped, %lld dead%s",
	    (long long)b.user_version, db_sqlite_version(),
	    (long long)b.pending, (long long)b.unmapped, (long long)b.dead,
	    check_others(db, db));
}

static enum fault
check_count_bad(void *count, int dir, const char *name)
{
	(void)dir;
	*(unsigned *)count += spool_has_suffix(name, SPOOL_HOOK SPOOL_BAD);
	return FAULT_NONE;
}

/* How many files of the spool were set aside; 0 where it cannot be read. */
static unsigned
check_set_aside(const char *spool)
{
	unsigned count = 0;
	int dir = open(spool, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir >= 0) {
		(void)(spool_each_name(dir, check_count_bad, &count) ==
		    FAULT_NONE);
		close(dir);
	}
	return count;
}

static bool
check_spool(const struct options *o)
{
	const char *spool = o->spool;
	struct stat st;
	unsigned n;

	if (stat(spool, &st) != 0)
		return check_missing("spool", spool);
	if (!S_ISDIR(st.st_mode))
		return check_print(false, "spool", spool, "not a folder");
	if (access(spool, R_OK | W_OK | X_OK) != 0)
		return check_print(false, "spool", spool, "%s",
		    strerror(errno));
	if ((n = check_set_aside(spool)) > 0)
		return check_print(false, "spool", spool,
		    "%u set aside: see --retry-bad", n);
	return check_print(true, "spool", spool, "writable%s",
	    check_others(spool, o->serve.db));
}

static bool
check_socket(const struct options *o)
{
	const char *socket = o->serve.socket, *bad = NULL;
	char why[LISTEN_WHY];
	struct listener l;

	if (socket == NULL)
		return check_print(true, "socket", "", "%s",
		    listen_inherited(&l) ? "inherited on fd 0" :
		    "none: give --socket, or a listening socket on fd 0 (or "
		    "run it as CGI)");
	if (listen_check(socket, why) != 0)
		return check_print(false, "socket", socket, "%s", why);
	if (listen_is_path(socket) &&
	    (bad = check_cannot_create(socket)) != NULL)
		return check_print(false, "socket", socket, "%s", bad);
	return check_print(true, "socket", socket, "free%s",
	    (o->serve.socket_mode & 07) == 0 ? "" :
	    "; everybody here may connect");
}

int
check_command(const struct options *o)
{
	bool good = check_user(o);

	good = check_secrets(o) && good;
	environment_warn_unknown();
	good = check_database(o) && good;
	good = check_spool(o) && good;
	good = check_socket(o) && good;
	return good ? 0 : 1;
}
