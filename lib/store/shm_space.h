/* Room on the disk for the log's index (-shm). SQLite maps that file into
 * memory and leaves holes in it. Where blocks are smaller than a page of
 * memory (ext4 of 1 KiB) a disk that is full by then does not refuse a write
 * to a hole: it kills who writes, with SIGBUS. */
#ifndef SHM_SPACE_H
#define SHM_SPACE_H

#include "base/fault.h"

/* Before the database at `path` is opened: FAULT_FULL, with the reason in
 * `why`, where the disk is such a one and has no room for the index, unless
 * the index is there without holes. What else may be wrong is left to who
 * opens it. */
#define SHM_SPACE_WHY	64
enum fault	shm_space_check(const char *path, char why[SHM_SPACE_WHY])
		    __attribute__((warn_unused_result));

#endif
