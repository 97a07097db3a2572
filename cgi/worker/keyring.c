#include "worker/keyring.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"

/*
 * keyring_refresh(), in the thread of each request, but in one at a time:
 *
 * 1. Is the file still the one that was read (keyring_same_file())?
 * 2. If not, keyring_read_file() reads it, and what looks like a mistake is
 *    logged.
 * 3. keyring_replace() puts the new secrets in place of the old.
 */

#define KEY_FILE_MAX	65536	/* bytes of a secrets file */

enum source { FROM_LIST, FROM_FILE, SOURCES };

struct key_set {
	struct secrets	*secrets;	/* NULL: none, or not read yet */
	int64_t		 used[SECRETS_MAX];	/* atomic: ms; 0: not yet */
};

struct keyring {
	pthread_rwlock_t lock;		/* guards `set`; written for a swap */
	struct key_set	 set[SOURCES];
	const char	*path;		/* of the file, or NULL */
	/* Guards all below: held by the thread that looks at the file. The
	 * others do not wait for it, but use the set that is there. */
	pthread_mutex_t	 refreshing;
	struct stat	 stat;		/* of the file that was read */
	bool		 known;		/* there is one */
	bool		 missing;	/* it was logged that it is missing */
	bool		 unlocked;	/* ... that memory cannot be locked */
};

static bool
keyring_same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

/* False: the file was changed, or replaced by another one. */
static bool
keyring_same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino &&
	    a->st_size == b->st_size &&
	    keyring_same_time(a->st_mtim, b->st_mtim) &&
	    keyring_same_time(a->st_ctim, b->st_ctim);
}

/* NULL with errno. Any file but a regular one is refused, with EINVAL. */
static struct secrets *
keyring_read_file(const char *path, struct stat *st)
{
	int fd = file_open_regular(AT_FDCWD, path, 0, st);
	struct secrets *set = NULL;
	char *buf = NULL;
	ssize_t n = -1;

	if (fd < 0)
		return NULL;
	if ((buf = malloc(KEY_FILE_MAX)) != NULL)
		n = file_read(fd, buf, KEY_FILE_MAX);
	if (n >= 0)
		set = secrets_read((struct span){ buf, (size_t)n },
		    SECRETS_FILE);
	if (buf != NULL)
		explicit_bzero(buf, KEY_FILE_MAX);
	free(buf);
	close(fd);
	return set;
}

static void
keyring_log(const struct keyring *k, const char *level, const char *event,
    const char *msg, unsigned line)
{
	struct log l;

	log_begin(&l, level, event);
	log_str(&l, "file", k->path);
	if (line > 0)
		log_int(&l, "line", line);
	log_str(&l, "msg", msg);
	log_end(&l);
}

static void
keyring_log_unlocked(struct keyring *k, const struct secrets *set)
{
	if (k->unlocked || secrets_locked(set))
		return;
	k->unlocked = true;
	keyring_log(k, "warning", "secret-memory", "secrets cannot be locked "
	    "into memory: raise the limit (ulimit -l, LimitMEMLOCK=)", 0);
}

/* Logs what looks like a mistake; of the secret never more than its name. */
static void
keyring_log_slip(const char *event, const char *file, const struct secrets *set)
{
	static const char *const msg[] = {
		[SLIP_QUOTES] = "there are quotes around it, which are taken "
		    "for a part of it: write it without",
		[SLIP_ASSIGNMENT] = "NAME= before it is taken for a part of "
		    "it: write the secret alone",
		[SLIP_PLACEHOLDER] = "it is a placeholder: write the one that "
		    "Sentry shows",
		[SLIP_NAME] = "another one looks as Sentry's do, this does "
		    "not: if it is a name, take it out, for here each word "
		    "is a secret",
	};
	const char *name;
	enum secrets_slip slip = secrets_slip(set, &name);
	struct log l;

	if (slip == SLIP_NONE)
		return;
	log_begin(&l, "warning", event);
	log_str(&l, "file", file);
	log_str(&l, "secret", name);
	log_str(&l, "msg", msg[slip]);
	log_end(&l);
}

/* A secret that stays in the file keeps the time of its last use, whatever it
 * is called now: a name may be its place, which changes. */
static void
key_set_copy_used(struct key_set *to, const struct key_set *from)
{
	for (size_t i = 0; i < secrets_count(to->secrets); i++)
		for (size_t j = 0; j < secrets_count(from->secrets); j++)
			if (from->used[j] > to->used[i] && secrets_same_key(
			    to->secrets, i, from->secrets, j))
				to->used[i] = from->used[j];
}

static void
keyring_replace(struct keyring *k, struct secrets *secrets)
{
	struct key_set before, set = { .secrets = secrets };

	pthread_rwlock_wrlock(&k->lock);
	before = k->set[FROM_FILE];
	key_set_copy_used(&set, &before);
	k->set[FROM_FILE] = set;
	pthread_rwlock_unlock(&k->lock);
	secrets_free(before.secrets);
}

static void
keyring_log_unreadable(struct keyring *k, int e)
{
	if (!k->missing)
		keyring_log(k, "warning", "secret-file", e == EINVAL ?
		    "it is no regular file: secrets are read from no other" :
		    strerror(e), 0);
	k->missing = true;
}

/* Reads the file if it has changed. The secrets of before stay in use if the
 * new file has none (it may be half written), or a line that is no secret. */
static void
keyring_look_at_file(struct keyring *k)
{
	size_t before = secrets_count(k->set[FROM_FILE].secrets);
	struct secrets *set;
	struct stat st;
	bool again = k->known;

	if (stat(k->path, &st) != 0) {
		keyring_log_unreadable(k, errno);
		return;
	}
	if (k->known && keyring_same_file(&st, &k->stat))
		return;
	if ((set = keyring_read_file(k->path, &st)) == NULL) {
		keyring_log_unreadable(k, errno);
		return;
	}
	k->stat = st;
	k->known = true;
	k->missing = false;
	keyring_log_unlocked(k, set);
	if (secrets_bad_line(set) > 0)
		keyring_log(k, "warning", "secret-file", "this line is not "
		    "understood: write `secret` or `name secret`, the name "
		    "first; a secret has 8 characters at least",
		    secrets_bad_line(set));
	if (before > 0 && (secrets_count(set) == 0 ||
	    secrets_bad_line(set) > 0)) {
		keyring_log(k, "warning", "secret-file",
		    secrets_count(set) == 0 ?
		    "there is no secret in it: the ones it held before stay "
		    "in use" : "it is not as it should be: the secrets it "
		    "held before stay in use", 0);
		secrets_free(set);
		return;
	}
	keyring_log_slip("secret-file", k->path, set);
	if (again)
		keyring_log(k, "info", "secret-file", "read again", 0);
	keyring_replace(k, set);
}

void
keyring_refresh(struct keyring *k)
{
	if (k->path == NULL || pthread_mutex_trylock(&k->refreshing) != 0)
		return;
	keyring_look_at_file(k);
	pthread_mutex_unlock(&k->refreshing);
}

/* The list never changes. */
static int
keyring_read_list(struct keyring *k, const char *list)
{
	struct secrets *set = secrets_read(span_of(list), SECRETS_LIST);

	if ((k->set[FROM_LIST].secrets = set) == NULL)
		return -1;
	if (secrets_bad_line(set) > 0)
		log_say("warning", "secret-list", "SENTRY_CLIENT_SECRET: a "
		    "secret in it is shorter than 8 characters, too long, not "
		    "printable, or one too many");
	keyring_log_slip("secret-list", NULL, set);
	keyring_log_unlocked(k, set);
	return 0;
}

struct keyring *
keyring_open(const char *list, const char *file)
{
	struct keyring *k = calloc(1, sizeof(*k));
	pthread_rwlockattr_t attr;

	if (k == NULL)
		return NULL;
	/* Many readers, one after another, would else keep a writer out. */
	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr,
	    PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&k->lock, &attr);
	pthread_rwlockattr_destroy(&attr);
	pthread_mutex_init(&k->refreshing, NULL);
	k->path = file;
	if (list != NULL && keyring_read_list(k, list) != 0) {
		keyring_close(k);
		return NULL;
	}
	keyring_refresh(k);
	return k;
}

void
keyring_close(struct keyring *k)
{
	if (k == NULL)
		return;
	for (int i = 0; i < SOURCES; i++)
		secrets_free(k->set[i].secrets);
	pthread_mutex_destroy(&k->refreshing);
	pthread_rwlock_destroy(&k->lock);
	free(k);
}

size_t
keyring_count(struct keyring *k)
{
	size_t n;

	pthread_rwlock_rdlock(&k->lock);
	n = secrets_count(k->set[FROM_LIST].secrets) +
	    secrets_count(k->set[FROM_FILE].secrets);
	pthread_rwlock_unlock(&k->lock);
	return n;
}

static void
key_set_copy_name(char name[SECRET_NAME_MAX + 1], const struct key_set *set,
    size_t i)
{
	const char *s = secrets_name(set->secrets, i);

	memcpy(name, s, strlen(s) + 1);
}

bool
keyring_secret(struct keyring *k, size_t i, char name[SECRET_NAME_MAX + 1],
    int64_t *used_at)
{
	struct key_set *set = &k->set[FROM_LIST];
	bool found;

	pthread_rwlock_rdlock(&k->lock);
	if (i >= secrets_count(set->secrets)) {
		i -= secrets_count(set->secrets);
		set = &k->set[FROM_FILE];
	}
	found = i < secrets_count(set->secrets);
	if (found) {
		key_set_copy_name(name, set, i);
		*used_at = __atomic_load_n(&set->used[i], __ATOMIC_RELAXED);
	}
	pthread_rwlock_unlock(&k->lock);
	return found;
}

enum signature
keyring_check(struct keyring *k, struct span header, struct span body,
    int64_t now_ms, char name[SECRET_NAME_MAX + 1])
{
	enum signature one, result = SIGNATURE_INVALID;
	size_t which;

	pthread_rwlock_rdlock(&k->lock);
	/* Both sets, always: the time must not tell which one matched. */
	for (struct key_set *set = k->set; set < k->set + SOURCES; set++) {
		if (set->secrets == NULL)
			continue;
		one = signature_check(set->secrets, header, body, &which);
		if (one == SIGNATURE_VALID) {
			key_set_copy_name(name, set, which);
			__atomic_store_n(&set->used[which], now_ms,
			    __ATOMIC_RELAXED);
		}
		if (result != SIGNATURE_VALID)
			result = one;
	}
	pthread_rwlock_unlock(&k->lock);
	return result;
}

const char *
keyring_guess(struct keyring *k, struct span header, struct span body,
    const struct json *root)
{
	const char *guess = NULL;

	pthread_rwlock_rdlock(&k->lock);
	for (int i = 0; i < SOURCES && guess == NULL; i++)
		if (secrets_count(k->set[i].secrets) > 0)
			guess = signature_guess(k->set[i].secrets, header,
			    body, root);
	pthread_rwlock_unlock(&k->lock);
	return guess;
}
