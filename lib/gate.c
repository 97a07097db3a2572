#include "gate.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>

/* A file has locks of two kinds that know nothing of each other: flock() for
 * the gate, a record lock for its owners. */
static bool
owner_lock(int gate, short kind)
{
	struct flock lock = { .l_type = kind, .l_whence = SEEK_SET,
	    .l_len = 1 };

	return fcntl(gate, F_OFD_SETLK, &lock) == 0;
}

int
gate_open(const char *path, bool owner)
{
	char name[PATH_MAX + 8];
	int gate;

	snprintf(name, sizeof(name), "%s-lock", path);
	gate = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
	if (gate >= 0 && owner)
		gate_own(gate);
	return gate;
}

void
gate_own(int gate)
{
	/* If it fails somebody stands in just now: the gate will do. */
	(void)owner_lock(gate, F_RDLCK);
}

bool
gate_take(int gate, enum gate how)
{
	int rc;

	do
		rc = flock(gate, (how == GATE_WRITE ? LOCK_SH : LOCK_EX) |
		    LOCK_NB);
	while (rc != 0 && errno == EINTR);
	return rc == 0;
}

void
gate_leave(int gate)
{
	(void)flock(gate, LOCK_UN);
}

bool
gate_stand_in(int gate)
{
	return owner_lock(gate, F_WRLCK);
}

void
gate_stand_back(int gate)
{
	(void)owner_lock(gate, F_UNLCK);
}
