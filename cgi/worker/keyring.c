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
 * keyring_borrow() goes these steps, in the thread of each request:
 *
 * 1. keyring_refresh(), in one thread at a time: is the file still the one
 *    that was read (keyring_same_file())? If not, keyring_read_file() reads it,
 *    and keyring_replace() puts the new set in place of the old.
 * 2. The loan takes a reference to the set that is in place. The old one is
 *    freed with its last loan.
 */

#define KEY_FILE_MAX	65536	/* bytes of a secrets file */

/* Secrets, shared by all loans of them. */
struct key_set {
	struct secrets	*secrets;
	int64_t		*used;	/* atomic: ms, when each was last used */
	int		 refs;	/* atomic */
};

struct keyring {
	struct key_set	*list;		/* NULL: the environment has none */
	const char	*path;		/* of the file, or NULL */
	pthread_mutex_t	 lock;		/* guards `file` */
	struct key_set	*file;		/* NULL: not read yet */
	/* Guards all below: held by the thread that looks at the file. The
	 * others do not wait for it, but use the set that is there. */
	pthread_mutex_t	 refreshing;
	struct stat	 stat;		/* of the file that was read */
	bool		 known;		/* there is one */
	bool		 missing;	/* it was logged that it is missing */
	bool		 unlocked;	/* ... that memory cannot be locked */
};

/* One reference. Takes over the secrets in any case. NULL without memory. */
static struct key_set *
key_set_new(struct secrets *secrets)
{
	struct key_set *k = calloc(1, sizeof(*k));

	/* One more than needed: for none calloc() might return NULL. */
	if (k == NULL || (k->used = calloc(secrets_count(secrets) + 1,
	    sizeof(*k->used))) == NULL) {
		free(k);
		secrets_free(secrets);
		return NULL;
	}
	k->secrets = secrets;
	k->refs = 1;
	return k;
}

static void
key_set_drop(struct key_set *k)
{
	if (k == NULL || __atomic_sub_fetch(&k->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	secrets_free(k->secrets);
	free(k->used);
	free(k);
}

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

/* A secret that stays in the file keeps the time of its last use. */
static void
key_set_copy_used(struct key_set *to, const struct key_set *from)
{
	for (size_t i = 0; i < secrets_count(to->secrets); i++)
		for (size_t j = 0; j < secrets_count(from->secrets); j++)
			if (strcmp(secrets_name(to->secrets, i),
			    secrets_name(from->secrets, j)) == 0)
				to->used[i] = __atomic_load_n(&from->used[j],
				    __ATOMIC_RELAXED);
}

static void
keyring_replace(struct keyring *k, struct secrets *secrets)
{
	struct key_set *set = key_set_new(secrets), *before = k->file;

	if (set == NULL)
		return;
	if (before != NULL)
		key_set_copy_used(set, before);
	pthread_mutex_lock(&k->lock);
	k->file = set;
	pthread_mutex_unlock(&k->lock);
	key_set_drop(before);
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
keyring_refresh(struct keyring *k)
{
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
		    "understood: write `secret` or `name secret`, of 8 "
		    "characters at least", secrets_bad_line(set));
	if (k->file != NULL && secrets_count(k->file->secrets) > 0 &&
	    (secrets_count(set) == 0 || secrets_bad_line(set) > 0)) {
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

/* The list never changes. */
static int
keyring_read_list(struct keyring *k, const char *list)
{
	struct secrets *set = secrets_read(span_of(list), SECRETS_LIST);

	if (set == NULL || (k->list = key_set_new(set)) == NULL)
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

	if (k == NULL)
		return NULL;
	pthread_mutex_init(&k->lock, NULL);
	pthread_mutex_init(&k->refreshing, NULL);
	k->path = file;
	if (list != NULL && keyring_read_list(k, list) != 0) {
		keyring_close(k);
		return NULL;
	}
	if (file != NULL)
		keyring_refresh(k);
	return k;
}

void
keyring_close(struct keyring *k)
{
	if (k == NULL)
		return;
	key_set_drop(k->file);
	key_set_drop(k->list);
	pthread_mutex_destroy(&k->refreshing);
	pthread_mutex_destroy(&k->lock);
	free(k);
}

void
keyring_borrow(struct keyring *k, struct keyring_loan *loan)
{
	*loan = (struct keyring_loan){ { k->list, NULL } };
	if (k->path == NULL)
		return;
	if (pthread_mutex_trylock(&k->refreshing) == 0) {
		keyring_refresh(k);
		pthread_mutex_unlock(&k->refreshing);
	}
	pthread_mutex_lock(&k->lock);
	if (k->file != NULL)
		__atomic_add_fetch(&k->file->refs, 1, __ATOMIC_RELAXED);
	loan->set[1] = k->file;
	pthread_mutex_unlock(&k->lock);
}

void
keyring_release(struct keyring_loan *loan)
{
	key_set_drop(loan->set[1]);
}

static size_t
key_set_count(const struct key_set *k)
{
	return k == NULL ? 0 : secrets_count(k->secrets);
}

size_t
keyring_loan_count(const struct keyring_loan *loan)
{
	return key_set_count(loan->set[0]) + key_set_count(loan->set[1]);
}

size_t
keyring_count(struct keyring *k)
{
	struct keyring_loan loan;
	size_t n;

	keyring_borrow(k, &loan);
	n = keyring_loan_count(&loan);
	keyring_release(&loan);
	return n;
}

const char *
keyring_loan_name(const struct keyring_loan *loan, size_t i, int64_t *used_at)
{
	size_t first = key_set_count(loan->set[0]);
	const struct key_set *k = loan->set[i >= first];

	i -= i >= first ? first : 0;
	*used_at = __atomic_load_n(&k->used[i], __ATOMIC_RELAXED);
	return secrets_name(k->secrets, i);
}

void
keyring_loan_used(const struct keyring_loan *loan, const char *name,
    int64_t now_ms)
{
	for (int which = 0; which < 2; which++) {
		const struct key_set *k = loan->set[which];

		for (size_t i = 0; i < key_set_count(k); i++)
			if (secrets_name(k->secrets, i) == name)
				__atomic_store_n(&k->used[i], now_ms,
				    __ATOMIC_RELAXED);
	}
}

enum signature
keyring_loan_check(const struct keyring_loan *loan, struct span header,
    struct span body, const char **name)
{
	enum signature result = SIGNATURE_INVALID;

	*name = NULL;
	/* Both sets, always: the time must not tell which one matched. */
	for (int i = 0; i < 2; i++) {
		const struct key_set *k = loan->set[i];
		enum signature one;
		size_t which;

		if (k == NULL)
			continue;
		one = signature_check(k->secrets, header, body, &which);
		if (one == SIGNATURE_VALID)
			*name = secrets_name(k->secrets, which);
		if (result != SIGNATURE_VALID)
			result = one;
	}
	return result;
}

const char *
keyring_loan_guess(const struct keyring_loan *loan, struct span header,
    struct span body, const struct json *root)
{
	const char *guess = NULL;

	for (int i = 0; i < 2 && guess == NULL; i++)
		if (key_set_count(loan->set[i]) > 0)
			guess = signature_guess(loan->set[i]->secrets, header,
			    body, root);
	return guess;
}
