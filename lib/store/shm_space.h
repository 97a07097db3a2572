/* Space on the disk for the log's index (NAME-shm). SQLite maps that file into
 * memory and leaves holes in it. Where the file system's blocks are smaller
 * than a page of memory (ext4 with 1 KiB) and the disk is full, a write to a
 * hole does not fail: the kernel kills the process with SIGBUS. */
#ifndef SHM_SPACE_H
#define SHM_SPACE_H

#include "base/fault.h"

/* To be called before the database at `path` is opened. FAULT_FULL, with the
 * reason in `why`: the blocks are that small, the disk has no space for the
 * index, and there is no index without holes yet. FAULT_NONE in any other case:
 * what else is wrong shows when the database is opened. */
#define SHM_SPACE_WHY	64
enum fault	shm_space_check(const char *path, char why[SHM_SPACE_WHY])
		    __attribute__((warn_unused_result));

#endif
