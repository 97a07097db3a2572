/* Whole reads and writes, over pipes that give and take little at a time. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../support/tap.h"

#define MUCH	1000000	/* bytes; a pipe holds far fewer */

static char bytes[MUCH];

static void
die(const char *what)
{
	perror(what);
	exit(1);
}

/* A child that writes all bytes to a pipe; returns the end to read. */
static int
writer(pid_t *child)
{
	int ends[2];

	if (pipe(ends) != 0 || (*child = fork()) < 0)
		die("writer");
	if (*child == 0) {
		close(ends[0]);		/* that it ends when the reader does */
		_exit(!file_write(ends[1], (struct span){ bytes, MUCH }));
	}
	close(ends[1]);
	return ends[0];
}

/* Whether the child has ended, and well. */
static bool
ended_well(pid_t child, int fd)
{
	int status;

	close(fd);
	return waitpid(child, &status, 0) == child && status == 0;
}

static void
reads_all(void)
{
	static char got[MUCH + 1];
	struct text t = { 0 };
	pid_t child;
	int fd = writer(&child);

	ok(file_read(fd, got, sizeof(got)) == MUCH &&
	    memcmp(got, bytes, MUCH) == 0 && ended_well(child, fd),
	    "what a pipe gives piece by piece is read to its end");
	fd = writer(&child);
	ok(fcntl(fd, F_SETFL, O_NONBLOCK) == 0 &&
	    file_read(fd, got, sizeof(got)) == MUCH &&
	    memcmp(got, bytes, MUCH) == 0 && ended_well(child, fd),
	    "so it is from a pipe that does not wait");
	fd = writer(&child);
	ok(file_read_text(fd, &t, MUCH) && t.len == MUCH &&
	    memcmp(t.at, bytes, MUCH) == 0 && ended_well(child, fd),
	    "so it is into a text");
	text_release(&t);
}

static void
stops(void)
{
	char few[10];
	struct text t = { 0 };
	int fd = open("/dev/zero", O_RDONLY), ends[2];

	ok(file_read(fd, few, sizeof(few)) == sizeof(few),
	    "no more is read than there is room for");
	ok(file_read_text(fd, &t, MUCH) && t.len > MUCH && t.len - MUCH < MUCH,
	    "a text of more than the limit ends the reading");
	text_release(&t);
	close(fd);
	ok(file_read(fd, few, sizeof(few)) == -1 && errno == EBADF &&
	    !file_read_text(fd, &t, MUCH) && errno == EBADF,
	    "an error is told, by its number");
	if (pipe(ends) != 0)
		die("pipe");
	ok(fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0 &&
	    file_read(ends[0], few, sizeof(few)) == -1 && errno == EAGAIN,
	    "a pipe that does not wait is not waited for without an end");
	close(ends[0]);
	close(ends[1]);
}

static void
writes_all(void)
{
	static char got[MUCH];
	int ends[2], status;
	pid_t child;

	if (pipe(ends) != 0 || (child = fork()) < 0)
		die("pipe");
	if (child == 0) {
		close(ends[1]);
		_exit(file_read(ends[0], got, MUCH) != MUCH ||
		    memcmp(got, bytes, MUCH) != 0);
	}
	close(ends[0]);
	ok(fcntl(ends[1], F_SETFL, O_NONBLOCK) == 0 &&
	    file_write(ends[1], (struct span){ bytes, MUCH }) &&
	    waitpid(child, &status, 0) == child && status == 0,
	    "all is written to a pipe that does not wait");
	close(ends[1]);
	ok(!file_write(ends[1], span_of("x")) && errno == EBADF &&
	    file_write(ends[1], span_of("")),
	    "nothing is written without an error, something is not");
}

static void
opens(void)
{
	char folder[] = "/tmp/unit-file.XXXXXX";
	struct stat st;
	int dir, fd;

	if (mkdtemp(folder) == NULL ||
	    (dir = open(folder, O_RDONLY | O_DIRECTORY)) < 0 ||
	    mkfifoat(dir, "fifo", 0600) != 0 ||
	    symlinkat("file", dir, "link") != 0 ||
	    (fd = openat(dir, "file", O_WRONLY | O_CREAT, 0600)) < 0 ||
	    !file_write(fd, span_of("abc")) || close(fd) != 0)
		die(folder);
	ok((fd = file_open_regular(dir, "file", 0, &st)) >= 0 &&
	    st.st_size == 3, "a regular file is opened, and measured");
	close(fd);
	ok((fd = file_open_regular(dir, "link", 0, &st)) >= 0 &&
	    file_open_regular(dir, "link", O_NOFOLLOW, &st) < 0 &&
	    errno == ELOOP, "a link is followed or not, as the caller says");
	close(fd);
	ok(file_open_regular(dir, "fifo", 0, &st) < 0 && errno == EINVAL &&
	    file_open_regular(AT_FDCWD, folder, 0, &st) < 0 &&
	    errno == EINVAL, "a FIFO is not waited for, a folder not opened");
	ok(file_open_regular(dir, "none", 0, &st) < 0 && errno == ENOENT,
	    "what is not there is not opened");
	unlinkat(dir, "file", 0);
	unlinkat(dir, "link", 0);
	unlinkat(dir, "fifo", 0);
	close(dir);
	rmdir(folder);
}

int
main(void)
{
	for (size_t i = 0; i < MUCH; i++)
		bytes[i] = (char)(i * 31 >> 3);
	reads_all();
	stops();
	writes_all();
	opens();
	return tap_done();
}
