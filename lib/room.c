#include "room.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>

#include "dbfiles.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE	23	/* Linux 5.14; older ones refuse it */
#endif

#define REGION_BYTES	32768	/* of the index, */
#define REGION_FRAMES	4062	/* and what it has of the log: at least */
#define FRAME_HEAD	24	/* bytes of the log before each page */
#define REGIONS_MAX	256

/* Of the database's header: */
#define HEADER_BYTES	32
#define HEADER_PAGE	16	/* its page's size, 1 for 65536 */
#define HEADER_VERSION	18	/* 2 with a log */

static unsigned
regions(const unsigned char *header, int64_t log_bytes)
{
	int64_t page = header[HEADER_PAGE] << 8 | header[HEADER_PAGE + 1];
	int64_t n = log_bytes / ((page <= 1 ? 65536 : page) + FRAME_HEAD) /
	    REGION_FRAMES + 1;

	return n > REGIONS_MAX ? REGIONS_MAX : (unsigned)n;
}

/* The system's own way to write to a hole, which fails where we would die. */
static enum fault
fill(volatile void *at)
{
	if (madvise((void *)(uintptr_t)at, REGION_BYTES,
	    MADV_POPULATE_WRITE) == 0)
		return FAULT_NONE;
	return errno == EFAULT || errno == ENOSPC ? FAULT_FULL : FAULT_NONE;
}

static enum fault
fill_all(struct room *r, unsigned count)
{
	enum fault f = FAULT_NONE;
	volatile void *at;
	int rc;

	for (unsigned i = 0; i < count && f == FAULT_NONE; i++) {
		at = NULL;
		rc = r->file->pMethods->xShmMap(r->file, (int)i, REGION_BYTES,
		    1, &at);
		if (rc == SQLITE_IOERR_SHMSIZE || rc == SQLITE_FULL)
			f = FAULT_FULL;
		else if (rc != SQLITE_OK || at == NULL)
			break;
		else
			f = fill(at);
	}
	return f;
}

enum fault
room_open(struct room *r, const char *path, bool logged, char why[ROOM_WHY])
{
	unsigned char header[HEADER_BYTES] = { 0 };
	sqlite3_file *file = NULL;
	enum fault f;

	if (r->db != NULL)
		return FAULT_NONE;
	if (sqlite3_open_v2(path, &r->db, SQLITE_OPEN_NOMUTEX |
	    SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK ||
	    sqlite3_file_control(r->db, "main", SQLITE_FCNTL_FILE_POINTER,
	    &file) != SQLITE_OK || file->pMethods == NULL ||
	    file->pMethods->iVersion < 2 || file->pMethods->xRead(file,
	    header, sizeof(header), 0) != SQLITE_OK ||
	    (!logged && header[HEADER_VERSION] != 2)) {
		room_close(r);
		return FAULT_NONE;
	}
	r->file = file;
	f = fill_all(r, regions(header, dbfiles_log_bytes(sql_path(r->db),
	    NULL)));
	if (f != FAULT_NONE)
		snprintf(why, ROOM_WHY, "there is no room on its disk for the "
		    "log's index (-shm)");
	return f;
}

void
room_close(struct room *r)
{
	if (r->file != NULL)
		(void)r->file->pMethods->xShmUnmap(r->file, 0);
	sqlite3_close(r->db);
	*r = (struct room){ NULL, NULL };
}
