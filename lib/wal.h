/* The write-ahead log as a file: how long it is, whether it was written to,
 * and a way to write it with fewer system calls. */
#ifndef WAL_H
#define WAL_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* Of the database at `path`; 0 where there is none. */
int64_t	wal_bytes(const char *path);

/* Whether it has `least` bytes and another time than *seen. Its size does not
 * shrink by a checkpoint, so its time has to tell. */
bool	wal_changed(const char *path, int64_t least,
	    const struct timespec *seen);
void	wal_see(const char *path, struct timespec *seen);

/* The name of a VFS for sqlite3_open_v2() that collects what is written to the
 * WAL until it is synced. Only for connections with synchronous=FULL, whose
 * every commit syncs: others would announce what is not in the file yet. */
const char	*wal_vfs(void);

#endif
