#include "store/shm_space.h"

#include <libgen.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define INDEX_SPACE_BYTES	65536	/* twice an index of 32 KiB */
#define STAT_BLOCK_BYTES	512	/* the unit of st_blocks */

/* Whether the file is there, and has no holes: each block has its place. */
static bool
is_whole(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && st.st_size > 0 &&
	    (off_t)st.st_blocks * STAT_BLOCK_BYTES >= st.st_size;
}

enum fault
shm_space_check(const char *path, char why[SHM_SPACE_WHY])
{
	char index[PATH_MAX], copy[PATH_MAX];
	struct statvfs disk;

	if (strlen(path) + strlen("-shm") >= sizeof(index))
		return FAULT_NONE;
	snprintf(index, sizeof(index), "%s-shm", path);
	snprintf(copy, sizeof(copy), "%s", path);
	if (statvfs(dirname(copy), &disk) != 0 ||
	    disk.f_frsize >= (unsigned long)sysconf(_SC_PAGESIZE))
		return FAULT_NONE;
	if (disk.f_bavail * disk.f_frsize >= INDEX_SPACE_BYTES ||
	    is_whole(index))
		return FAULT_NONE;
	snprintf(why, SHM_SPACE_WHY, "there is no room on its disk for the "
	    "log's index (-shm)");
	return FAULT_FULL;
}
