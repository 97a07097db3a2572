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

#define FILE_MAX	65536	/* bytes of a secrets file */

/* What the file held when it was read, shared by all who borrowed it. */
struct key_file {
	struct secrets	*set;
	int64_t		*used;		/* atomic: ms, of each secret */
	int		 refs;		/* atomic */
};

/* By which a changed file is known. */
struct stamp {
	dev_t		dev;
	ino_t		ino;
	off_t		size;
	struct timespec	mtime, ctime;
};

struct keyring {
	struct secrets	*list;
	int64_t		*list_used;	/* atomic, as in key_file */
	const char	*path;
	pthread_mutex_t	 lock;		/* guards file */
	struct key_file	*file;
	/* Held by the one who looks at the file, on which all below depends;
	 * nobody waits for it. */
	pthread_mutex_t	 looking;
	struct stamp	 stamp;
	bool		 known;		/* the stamp is that of a read file */
	bool		 missing;	/* said so already */
	bool		 unlocked;	/* likewise */
};

static void
drop(struct key_file *f)
{
	if (f == NULL || __atomic_sub_fetch(&f->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	secrets_free(f->set);
	free(f->used);
	free(f);
}

static bool
same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool
same(const struct stamp *a, const struct stamp *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
	    same_time(a->mtime, b->mtime) && same_time(a->ctime, b->ctime);
}

static struct stamp
stamp_of(const struct stat *st)
{
	return (struct stamp){ st->st_dev, st->st_ino, st->st_size,
	    st->st_mtim, st->st_ctim };
}

/* NULL with errno set, or without memory. */
static struct secrets *
read_secrets(const char *path, struct stamp *stamp)
{
	struct stat st;
	int fd = file_open_regular(AT_FDCWD, path, 0, &st);
	struct secrets *set = NULL;
	char *buf = NULL;
	ssize_t n = -1;

	if (fd < 0)
		return NULL;
	if ((buf = malloc(FILE_MAX)) != NULL)
		n = file_read(fd, buf, FILE_MAX);
	if (n >= 0) {
		*stamp = stamp_of(&st);
		set = secrets_read((struct span){ buf, (size_t)n },
		    SECRETS_FILE);
	}
	if (buf != NULL)
		explicit_bzero(buf, FILE_MAX);
	free(buf);
	close(fd);
	return set;
}

static void
say(const struct keyring *k, const char *level, const char *event,
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
say_unlocked(struct keyring *k, const struct secrets *set)
{
	if (k->unlocked || secrets_locked(set))
		return;
	k->unlocked = true;
	say(k, "warning", "secret-memory", "secrets cannot be locked into "
	    "memory: raise the limit (ulimit -l, LimitMEMLOCK=)", 0);
}

/* What somebody may have written by mistake; never more of it than a name. */
static void
say_slip(const char *event, const char *file, const struct secrets *set)
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

/* One more than needed: none at all would be NULL. */
static int64_t *
used_of(const struct secrets *set)
{
	return calloc(secrets_count(set) + 1, sizeof(int64_t));
}

/* A secret that stays in the file keeps the time of its last use. */
static void
carry_over(const struct key_file *from, struct key_file *to)
{
	for (size_t i = 0; i < secrets_count(to->set); i++)
		for (size_t j = 0; j < secrets_count(from->set); j++)
			if (strcmp(secrets_name(to->set, i),
			    secrets_name(from->set, j)) == 0)
				to->used[i] = __atomic_load_n(&from->used[j],
				    __ATOMIC_RELAXED);
}

static void
replace(struct keyring *k, struct secrets *set)
{
	struct key_file *f = calloc(1, sizeof(*f)), *before = k->file;

	if (f == NULL || (f->used = used_of(set)) == NULL) {
		free(f);
		secrets_free(set);
		return;
	}
	f->set = set;
	f->refs = 1;
	if (before != NULL)
		carry_over(before, f);
	pthread_mutex_lock(&k->lock);
	k->file = f;
	pthread_mutex_unlock(&k->lock);
	drop(before);
}

static void
say_unreadable(struct keyring *k, int e)
{
	if (!k->missing)
		say(k, "warning", "secret-file", e == EINVAL ? "it is no "
		    "regular file: secrets are read from no other" :
		    strerror(e), 0);
	k->missing = true;
}

/* Reads the file if it is not the one that was read. One without any secret
 * (that is just being written, say), or with a line that is none, does not
 * take away those that worked. */
static void
refresh(struct keyring *k)
{
	struct stamp stamp;
	struct secrets *set;
	struct stat st;
	bool again = k->known;

	if (stat(k->path, &st) != 0) {
		say_unreadable(k, errno);
		return;
	}
	stamp = stamp_of(&st);
	if (k->known && same(&stamp, &k->stamp))
		return;
	if ((set = read_secrets(k->path, &stamp)) == NULL) {
		say_unreadable(k, errno);
		return;
	}
	k->stamp = stamp;
	k->known = true;
	k->missing = false;
	say_unlocked(k, set);
	if (secrets_bad_line(set) > 0)
		say(k, "warning", "secret-file", "this line is not "
		    "understood: write `secret` or `name secret`, of 8 "
		    "characters at least", secrets_bad_line(set));
	if (k->file != NULL && secrets_count(k->file->set) > 0 &&
	    (secrets_count(set) == 0 || secrets_bad_line(set) > 0)) {
		say(k, "warning", "secret-file", secrets_count(set) == 0 ?
		    "there is no secret in it: the ones it held before stay "
		    "in use" : "it is not as it should be: the secrets it "
		    "held before stay in use", 0);
		secrets_free(set);
		return;
	}
	say_slip("secret-file", k->path, set);
	if (again)
		say(k, "info", "secret-file", "read again", 0);
	replace(k, set);
}

struct keyring *
keyring_open(const char *list, const char *file)
{
	struct keyring *k = calloc(1, sizeof(*k));

	if (k == NULL)
		return NULL;
	pthread_mutex_init(&k->lock, NULL);
	pthread_mutex_init(&k->looking, NULL);
	k->path = file;
	if (list != NULL)
		k->list = secrets_read(span_of(list), SECRETS_LIST);
	k->list_used = used_of(k->list);
	if (k->list != NULL && secrets_bad_line(k->list) > 0)
		log_say("warning", "secret-list", "SENTRY_CLIENT_SECRET: a "
		    "secret in it is shorter than 8 characters, too long, not "
		    "printable, or one too many");
	say_slip("secret-list", NULL, k->list);
	say_unlocked(k, k->list);
	if (file != NULL)
		refresh(k);
	return k;
}

void
keyring_close(struct keyring *k)
{
	if (k == NULL)
		return;
	drop(k->file);
	secrets_free(k->list);
	free(k->list_used);
	pthread_mutex_destroy(&k->looking);
	pthread_mutex_destroy(&k->lock);
	free(k);
}

void
keyring_borrow(struct keyring *k, struct keyring_loan *loan)
{
	*loan = (struct keyring_loan){ .set = { k->list, NULL },
	    .used = { k->list_used, NULL } };
	if (k->path == NULL)
		return;
	if (pthread_mutex_trylock(&k->looking) == 0) {
		refresh(k);
		pthread_mutex_unlock(&k->looking);
	}
	pthread_mutex_lock(&k->lock);
	if (k->file != NULL) {
		loan->file = k->file;
		__atomic_add_fetch(&k->file->refs, 1, __ATOMIC_RELAXED);
		loan->set[1] = k->file->set;
		loan->used[1] = k->file->used;
	}
	pthread_mutex_unlock(&k->lock);
}

void
keyring_release(struct keyring_loan *loan)
{
	drop(loan->file);
}

size_t
keyring_loan_count(const struct keyring_loan *loan)
{
	return secrets_count(loan->set[0]) + secrets_count(loan->set[1]);
}

const char *
keyring_loan_name(const struct keyring_loan *loan, size_t i, int64_t *used_at)
{
	size_t first = secrets_count(loan->set[0]);
	int which = i >= first;

	i -= which ? first : 0;
	*used_at = loan->used[which] == NULL ? 0 :
	    __atomic_load_n(&loan->used[which][i], __ATOMIC_RELAXED);
	return secrets_name(loan->set[which], i);
}

void
keyring_loan_used(
    const struct keyring_loan *loan, const char *name, int64_t now)
{
	for (int which = 0; which < 2; which++)
		for (size_t i = 0; i < secrets_count(loan->set[which]); i++)
			if (secrets_name(loan->set[which], i) == name &&
			    loan->used[which] != NULL)
				__atomic_store_n(&loan->used[which][i], now,
				    __ATOMIC_RELAXED);
}

enum signature
keyring_loan_check(const struct keyring_loan *loan, struct span header,
    struct span body, const char **name)
{
	enum signature result = SIGNATURE_INVALID;

	*name = NULL;
	for (int i = 0; i < 2; i++) {
		enum signature one;
		size_t which;

		if (loan->set[i] == NULL)
			continue;
		one = signature_check(loan->set[i], header, body, &which);
		if (one == SIGNATURE_VALID)
			*name = secrets_name(loan->set[i], which);
		if (result != SIGNATURE_VALID)
			result = one;
	}
	return result;
}
