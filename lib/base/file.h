/* Descriptors and small files, read and written whole. */
#ifndef FILE_H
#define FILE_H

#include <sys/stat.h>
#include <sys/types.h>

#include "base/text.h"

/* Opens a regular file to read, and sets *st; -1 with errno set. What is no
 * regular file gives EINVAL, and is not waited for: open() of a FIFO would
 * wait for its writer. `dir` and `flags` are added to openat()'s. */
int	file_open_regular(int dir, const char *path, int flags,
	    struct stat *st);

/* Reads until `size` bytes are there, the end comes, or an error. Returns how
 * many there are, -1 with errno set at an error. A descriptor that does not
 * wait is waited for: EAGAIN says that nothing came for two seconds. */
ssize_t	file_read(int fd, char *buf, size_t size);

/* Appends all that can be read; stops early once the text has more than
 * `limit` bytes. False with errno set at an error. A text that ran out of
 * memory is `broken`. */
bool	file_read_text(int fd, struct text *, size_t limit);

/* Writes all of it, and waits where the descriptor is one that does not. False
 * with errno set at an error. */
bool	file_write(int fd, struct span);

#endif
