/* The client secrets: those of the environment, and those of a file that is
 * read again whenever it changes, so that they can be rotated without a
 * restart. */
#ifndef KEYRING_H
#define KEYRING_H

#include "hook/signature.h"

struct keyring;
struct key_set;

/* `list` is the value of SENTRY_CLIENT_SECRET, `file` a path that outlives the
 * keyring; either may be NULL, and both may be given. NULL without memory. A
 * file that is missing, unreadable or without a secret is logged, and no
 * error: it may come later. */
struct keyring	*keyring_open(const char *list, const char *file);
void		 keyring_close(struct keyring *);

/* The secrets that count now, borrowed: those of the list and of the file. A
 * change of the file does not touch them until keyring_release(). */
struct keyring_loan {
	struct key_set	*set[2];	/* of list, of file; or NULL */
};
void	keyring_borrow(struct keyring *, struct keyring_loan *);
void	keyring_release(struct keyring_loan *);

/* How many secrets there are now. */
size_t	keyring_count(struct keyring *);
size_t	keyring_loan_count(const struct keyring_loan *);

/* The name of the i-th, and when a hook was last signed with it (ms since
 * 1970; 0: not since the start). */
const char	*keyring_loan_name(const struct keyring_loan *, size_t i,
		    int64_t *used_at);

/* signature_check() with all of them; *name is the matching secret's. */
enum signature	keyring_loan_check(const struct keyring_loan *,
		    struct span header, struct span body, const char **name);

/* Notes that a hook was signed with the secret that keyring_loan_check() has
 * named. */
void		keyring_loan_used(const struct keyring_loan *,
		    const char *name, int64_t now_ms);

/* signature_guess() with all of them. */
const char	*keyring_loan_guess(const struct keyring_loan *,
		    struct span header, struct span body,
		    const struct json *root);

#endif
