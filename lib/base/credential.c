#include "base/credential.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

char *
credential_read(const char *path, const char **why)
{
	char buf[CREDENTIAL_BYTES + 1], *line;
	struct stat st;
	int fd = file_open_regular(AT_FDCWD, path, 0, &st);
	ssize_t n = fd < 0 ? -1 : file_read(fd, buf, CREDENTIAL_BYTES);
	struct span trimmed;

	*why = n >= 0 ? "out of memory" : errno == EINVAL ?
	    "it is no regular file" : strerror(errno);
	if (fd >= 0)
		close(fd);
	if (n < 0)
		return NULL;
	buf[n] = '\0';
	line = buf + strspn(buf, " \t\r\n");
	trimmed = span_trimmed((struct span){ line, strcspn(line, "\r\n") });
	if (trimmed.len == 0)
		*why = "there is nothing in it";
	return trimmed.len > 0 ? strndup(trimmed.at, trimmed.len) : NULL;
}
