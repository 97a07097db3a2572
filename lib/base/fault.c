#include "base/fault.h"

#include <errno.h>

const char *
fault_name(enum fault f)
{
	switch (f) {
	case FAULT_NONE:
		return "none";
	case FAULT_BUSY:
		return "busy";
	case FAULT_STUCK:
		return "stuck";
	case FAULT_FULL:
		return "disk-full";
	case FAULT_IO:
		return "io-error";
	case FAULT_DENIED:
		return "permission-denied";
	case FAULT_READONLY:
		return "read-only";
	case FAULT_MISSING:
		return "no-such-file";
	case FAULT_GONE:
		return "file-replaced";
	case FAULT_CORRUPT:
		return "corrupt";
	case FAULT_FOREIGN:
		return "not-our-database";
	case FAULT_NEWER:
		return "newer-version";
	case FAULT_OLDER:
		return "older-version";
	case FAULT_REFUSED:
		return "refused";
	case FAULT_MEMORY:
		break;
	}
	return "out-of-memory";
}

enum fault
fault_errno(int e)
{
	switch (e) {
	case ENOSPC:
	case EDQUOT:
		return FAULT_FULL;
	case EACCES:
	case EPERM:
		return FAULT_DENIED;
	case EROFS:
		return FAULT_READONLY;
	case ENOENT:
	case ENOTDIR:
		return FAULT_MISSING;
	case ENOMEM:
		return FAULT_MEMORY;
	default:
		return FAULT_IO;
	}
}
