#include "deliver/deliver_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

/* If root runs this by hand, the file becomes the database owner's: the service
 * could not open a file of root's. */
static void
give_to_owner(int fd, const char *db)
{
	struct stat st;

	if (geteuid() == 0 && stat(db, &st) == 0 &&
	    fchown(fd, st.st_uid, st.st_gid) != 0)
		log_say("warning", "lock", "its file stays root's");
}

/* The process's number only helps people; the lock is what counts. */
static void
write_pid(int fd)
{
	char who[32];

	snprintf(who, sizeof(who), "%ld\n", (long)getpid());
	if (ftruncate(fd, 0) != 0 || write(fd, who, strlen(who)) < 0)
		log_say("warning", "lock", "its file cannot be written");
}

enum deliver_lock
deliver_lock_take(const char *db, char why[DELIVER_LOCK_WHY])
{
	/* The same file under another name must have the same lock. */
	char *real = realpath(db, NULL);
	char path[PATH_MAX + 16], who[32] = "";
	size_t digits;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s-deliver", real == NULL ? db : real);
	free(real);
	if ((fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640)) < 0) {
		snprintf(why, DELIVER_LOCK_WHY, "%.400s: %s", path,
		    strerror(errno));
		return DELIVER_LOCK_FAILED;
	}
	if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
		give_to_owner(fd, db);
		write_pid(fd);
		return DELIVER_LOCK_OURS;
	}
	n = read(fd, who, sizeof(who) - 1);
	digits = n > 0 ? strspn(who, "0123456789") : 0;
	who[digits] = '\0';
	snprintf(why, DELIVER_LOCK_WHY,
	    "%.400s is being delivered by process %s", db,
	    digits == 0 ? "unknown" : who);
	close(fd);
	return DELIVER_LOCK_ANOTHERS;
}
