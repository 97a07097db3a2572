/* The secrets that count now: from the environment, or from a file that is
 * read again whenever it changes. */
#ifndef KEYRING_H
#define KEYRING_H

#include "hook/signature.h"

struct keyring;

/* `list` is the value of SENTRY_CLIENT_SECRET, `file` a path; either may be
 * NULL, and both may be given. NULL without memory. A file that is missing,
 * unreadable or without a secret is logged, not an error: it may come. */
struct keyring	*keyring_open(const char *list, const char *file);
void		 keyring_close(struct keyring *);

/* The secrets of this moment, in up to two sets. keyring_release() ends the
 * loan; a change of the file in between does not touch it. */
struct keyring_loan {
	const struct secrets	*set[2];
	int64_t			*used[2];	/* atomic; one a secret */
	struct key_file		*file;
};
void	keyring_borrow(struct keyring *, struct keyring_loan *);
void	keyring_release(struct keyring_loan *);

size_t	keyring_loan_count(const struct keyring_loan *);

/* The i-th of them: its name, and when a hook was last signed with it since
 * the start (ms; 0: not yet). */
const char	*keyring_loan_name(const struct keyring_loan *, size_t i,
		    int64_t *used_at);
/* A hook was: `name` is what keyring_loan_check() gave. */
void keyring_loan_used(
    const struct keyring_loan *, const char *name, int64_t now);

/* signature_check() over both sets. */
enum signature keyring_loan_check(const struct keyring_loan *,
    struct span header, struct span body, const char **name);

#endif
