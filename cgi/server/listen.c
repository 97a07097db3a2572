#include "server/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* Connections that wait to be accepted. When there are more, nginx answers 502
 * at once. The kernel allows net.core.somaxconn at most. */
#define BACKLOG	4096

__attribute__((format(printf, 2, 3)))
static int
listen_fail(char why[LISTEN_WHY], const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(why, LISTEN_WHY, format, ap);
	va_end(ap);
	return -1;
}

bool
listen_inherited(struct listener *l)
{
	int listening = 0;
	socklen_t len = sizeof(listening);

	*l = (struct listener){ .fd = STDIN_FILENO, .inherited = true };
	return getsockopt(STDIN_FILENO, SOL_SOCKET, SO_ACCEPTCONN, &listening,
	    &len) == 0 && listening;
}

static int
listen_unix_address(struct sockaddr_un *sun, const char *path,
    char why[LISTEN_WHY])
{
	*sun = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(sun->sun_path))
		return listen_fail(why, "the socket's path is longer than "
		    "%zu bytes", sizeof(sun->sun_path) - 1);
	memcpy(sun->sun_path, path, strlen(path));
	return 0;
}

/* 0: the path is free; 1: a socket is there that nobody serves; -1, with why:
 * it is in use. */
static int
listen_probe_unix(const struct sockaddr_un *sun, char why[LISTEN_WHY])
{
	struct stat st;
	int fd, rc, e;

	if (lstat(sun->sun_path, &st) != 0)
		return errno == ENOENT ? 0 : listen_fail(why, "%s: %s",
		    sun->sun_path, strerror(errno));
	if (!S_ISSOCK(st.st_mode))
		return listen_fail(why, "%s is there and no socket: remove it "
		    "or choose another path", sun->sun_path);
	if ((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC |
	    SOCK_NONBLOCK, 0)) < 0)
		return listen_fail(why, "socket: %s", strerror(errno));
	rc = connect(fd, (const struct sockaddr *)sun, sizeof(*sun));
	e = errno;
	close(fd);
	if (rc != 0 && e == ECONNREFUSED)
		return 1;
	/* EAGAIN is a full backlog: very much alive. */
	return listen_fail(why, "%s is in use: another worker listens there",
	    sun->sun_path);
}

static int
listen_bind_unix(struct listener *l, const char *path, unsigned mode,
    char why[LISTEN_WHY])
{
	struct sockaddr_un sun;
	struct stat st;
	mode_t mask;
	int rc, stale;

	if (listen_unix_address(&sun, path, why) != 0 ||
	    (stale = listen_probe_unix(&sun, why)) < 0)
		return -1;
	if (stale == 1)
		(void)unlink(path);
	if ((l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) < 0)
		return listen_fail(why, "socket: %s", strerror(errno));
	/* Until chmod() has set the mode, nobody may connect. */
	mask = umask(0777);
	rc = bind(l->fd, (struct sockaddr *)&sun, sizeof(sun));
	umask(mask);
	if (rc != 0 || chmod(path, (mode_t)mode) != 0 ||
	    lstat(path, &st) != 0)
		return listen_fail(why, "%s: %s", path, strerror(errno));
	l->path = path;
	l->dev = st.st_dev;
	l->ino = st.st_ino;
	return 0;
}

/* HOST:PORT or [HOST]:PORT; NULL when it is neither. */
static struct addrinfo *
listen_resolve(const char *where, char why[LISTEN_WHY])
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
	    .ai_flags = AI_PASSIVE | AI_NUMERICSERV }, *found;
	const char *colon = strrchr(where, ':');
	char host[256];
	size_t len = (size_t)(colon - where);
	int rc;

	if (len >= 2 && where[0] == '[' && where[len - 1] == ']')
		where++, len -= 2;
	if (len == 0 || len >= sizeof(host)) {
		listen_fail(why, "--socket wants a path or HOST:PORT, as in "
		    "127.0.0.1:9000");
		return NULL;
	}
	memcpy(host, where, len);
	host[len] = '\0';
	if ((rc = getaddrinfo(host, colon + 1, &hints, &found)) != 0) {
		listen_fail(why, "%s: %s", where, gai_strerror(rc));
		return NULL;
	}
	return found;
}

/* Binds to the first of the host's addresses that works: one of those of
 * `localhost' may be IPv6 where this machine has none. */
static int
listen_bind_tcp(struct listener *l, const char *where, char why[LISTEN_WHY])
{
	struct addrinfo *all = listen_resolve(where, why), *a;
	int on = 1, e = 0;

	for (a = all; a != NULL; a = a->ai_next) {
		l->fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		(void)setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &on,
		    sizeof(on));
		if (l->fd >= 0 && bind(l->fd, a->ai_addr, a->ai_addrlen) == 0)
			break;
		e = errno;
		listen_close(l);
	}
	if (all == NULL)
		return -1;
	freeaddrinfo(all);
	return a != NULL ? 0 : listen_fail(why, "%s: %s", where, strerror(e));
}

/* A path has a slash or no colon. */
bool
listen_is_path(const char *where)
{
	return strchr(where, '/') != NULL || strchr(where, ':') == NULL;
}

int
listen_open(struct listener *l, const char *where, unsigned mode,
    char why[LISTEN_WHY])
{
	int rc;

	*l = (struct listener){ .fd = -1 };
	rc = listen_is_path(where) ? listen_bind_unix(l, where, mode, why) :
	    listen_bind_tcp(l, where, why);
	if (rc == 0 && listen(l->fd, BACKLOG) != 0)
		rc = listen_fail(why, "%s: %s", where, strerror(errno));
	if (rc != 0)
		listen_close(l);
	return rc;
}

int
listen_check(const char *where, char why[LISTEN_WHY])
{
	struct listener l = { .fd = -1 };
	struct sockaddr_un sun;
	int rc;

	if (listen_is_path(where))
		return listen_unix_address(&sun, where, why) != 0 ||
		    listen_probe_unix(&sun, why) < 0 ? -1 : 0;
	rc = listen_bind_tcp(&l, where, why);
	listen_close(&l);
	return rc;
}

static bool
listen_leaves_fewer(int fd, unsigned spare)
{
	struct rlimit r;

	return getrlimit(RLIMIT_NOFILE, &r) == 0 &&
	    (rlim_t)fd + spare >= r.rlim_cur;
}

int
listen_accept(const struct listener *l, unsigned spare, bool *scarce)
{
	int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC);

	*scarce = fd < 0 ? errno != EAGAIN && errno != EINTR &&
	    errno != ECONNABORTED : listen_leaves_fewer(fd, spare);
	return fd;
}

bool
listen_scarce(const struct listener *l, unsigned spare)
{
	int fd = fcntl(l->fd, F_DUPFD_CLOEXEC, 0);
	bool scarce = fd < 0 || listen_leaves_fewer(fd, spare);

	if (fd >= 0)
		close(fd);
	return scarce;
}

void
listen_leave(struct listener *l)
{
	struct stat st;

	if (l->path != NULL && lstat(l->path, &st) == 0 &&
	    st.st_dev == l->dev && st.st_ino == l->ino)
		(void)unlink(l->path);
	l->path = NULL;
}

unsigned
listen_others(const struct listener *l)
{
	struct sockaddr_un sun = { 0 };
	socklen_t len = sizeof(sun) - 1;
	struct stat st;

	if (getsockname(l->fd, (struct sockaddr *)&sun, &len) != 0 ||
	    sun.sun_family != AF_UNIX || sun.sun_path[0] == '\0' ||
	    stat(sun.sun_path, &st) != 0)
		return 0;
	return st.st_mode & 07;
}

void
listen_close(struct listener *l)
{
	listen_leave(l);
	if (l->fd >= 0 && !l->inherited)
		close(l->fd);
	l->fd = -1;
}
