/* The client secrets: those of the environment, and those of a file that is
 * read again whenever it changes, so that they can be rotated without a
 * restart. */
#ifndef KEYRING_H
#define KEYRING_H

#include "hook/signature.h"

struct keyring;

/* `list` is the value of SENTRY_CLIENT_SECRET, `file` a path that outlives the
 * keyring; either may be NULL, and both may be given. NULL without memory. A
 * file that is missing, unreadable or without a secret is logged, and no
 * error: it may come later. */
struct keyring	*keyring_open(const char *list, const char *file);
void		 keyring_close(struct keyring *);

/* Reads the file again if it has changed. If another thread is just doing that,
 * this one does not wait: what follows uses the secrets of before. */
void		 keyring_refresh(struct keyring *);

/* How many secrets there are now. */
size_t		 keyring_count(struct keyring *);

/* The name of the i-th, and when a hook was last signed with it (ms since
 * 1970; 0: not since the start). False: there are not as many. */
bool		 keyring_secret(struct keyring *, size_t i,
		    char name[SECRET_NAME_MAX + 1], int64_t *used_at);

/* signature_check() with all of them. If it is valid, `name` becomes that of
 * the secret, which was used at now_ms. */
enum signature	keyring_check(struct keyring *, struct span header,
		    struct span body, int64_t now_ms,
		    char name[SECRET_NAME_MAX + 1]);

/* signature_guess() with all of them. */
const char	*keyring_guess(struct keyring *, struct span header,
		    struct span body, const struct json *root);

#endif
