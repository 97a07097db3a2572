/* What can go wrong with keeping a hook: one closed list. */
#ifndef FAULT_H
#define FAULT_H

enum fault {
	FAULT_NONE,
	FAULT_BUSY,	/* somebody else holds the lock; wait */
	FAULT_STUCK,	/* not tried: known to be busy or broken */
	FAULT_FULL,	/* no room on the disk, or over a quota */
	FAULT_IO,	/* the disk or the file system fails */
	FAULT_DENIED,	/* no permission */
	FAULT_READONLY,	/* the file system is read-only */
	FAULT_MISSING,	/* a file or folder is not there */
	FAULT_GONE,	/* the file was moved or replaced under us */
	FAULT_CORRUPT,	/* not a database (any more) */
	FAULT_FOREIGN,	/* another program's database */
	FAULT_NEWER,	/* written by a newer version of us */
	FAULT_OLDER,	/* empty, or written by an older one: to be migrated */
	FAULT_REFUSED,	/* this one hook breaks a rule of the schema */
	FAULT_MEMORY
};

/* A short name for logs and answers: "busy", "disk-full". */
const char	*fault_name(enum fault);

/* The fault that an errno of the file system stands for. */
enum fault	 fault_errno(int);

#endif
