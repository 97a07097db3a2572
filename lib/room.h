/* Room on the disk for the log's index (-shm). SQLite maps that file into
 * memory and leaves holes in it. Where blocks are smaller than a page of
 * memory (ext4 of 1 KiB) a disk that is full by then does not refuse a write
 * to a hole: it kills who writes, with SIGBUS. */
#ifndef ROOM_H
#define ROOM_H

#include <stdbool.h>

#include "sql.h"

/* Another connection, which reads nothing; it keeps the index as it is until
 * room_close(). Start from { 0 }. */
struct room {
	sqlite3		*db;
	sqlite3_file	*file;		/* its index is mapped */
};

/* Makes the index of the database at `path`, or finds it, and has the system
 * find room for all of it: FAULT_FULL where there is none. Not of one that has
 * no log yet, unless `logged` says that it is about to. What else may be wrong
 * is left to who opens it. Before anybody reads. */
#define ROOM_WHY	64
enum fault	room_open(struct room *, const char *path, bool logged,
		    char why[ROOM_WHY]) __attribute__((warn_unused_result));
void		room_close(struct room *);

#endif
