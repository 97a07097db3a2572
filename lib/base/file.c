#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#define READ_BYTES	16384	/* at a time, onto the stack */
#define READ_WAIT_MS	2000	/* for the next bytes; FastCGI's is as long */

int
file_open_regular(int dir, const char *path, int flags, struct stat *st)
{
	int fd = openat(dir, path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | flags);
	int error = 0;

	if (fd < 0)
		return -1;
	if (fstat(fd, st) != 0)
		error = errno;
	else if (!S_ISREG(st->st_mode))
		error = EINVAL;
	if (error == 0)
		return fd;
	close(fd);
	errno = error;
	return -1;
}

ssize_t
file_read(int fd, char *buf, size_t size)
{
	struct pollfd readable = { .fd = fd, .events = POLLIN };
	size_t got = 0;

	while (got < size) {
		ssize_t n = read(fd, buf + got, size - got);

		if (n < 0 && errno == EAGAIN) {
			if (poll(&readable, 1, READ_WAIT_MS) != 0)
				continue;
			errno = EAGAIN;
		}
		if (n < 0 && errno != EINTR)
			return -1;
		if (n == 0)
			break;
		got += n > 0 ? (size_t)n : 0;
	}
	return (ssize_t)got;
}

bool
file_read_text(int fd, struct text *t, size_t limit)
{
	char buf[READ_BYTES];
	ssize_t n = sizeof(buf);

	while (n == sizeof(buf) && t->len <= limit && !t->broken) {
		if ((n = file_read(fd, buf, sizeof(buf))) < 0)
			return false;
		text_add(t, buf, (size_t)n);
	}
	return true;
}

bool
file_write(int fd, struct span s)
{
	struct pollfd writable = { .fd = fd, .events = POLLOUT };

	while (s.len > 0) {
		ssize_t n = write(fd, s.at, s.len);

		if (n < 0 && errno == EAGAIN)
			(void)poll(&writable, 1, -1);
		else if (n < 0 && errno != EINTR)
			return false;
		else if (n > 0)
			s = span_behind(s, (size_t)n);
	}
	return true;
}
