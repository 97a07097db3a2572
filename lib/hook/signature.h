/* The one proof that a request is Sentry's: HMAC-SHA256 over the raw body. */
#ifndef SIGNATURE_H
#define SIGNATURE_H

#include "base/text.h"

#define SIGNATURE_HEX	64	/* hex digits of a signature */
#define SECRET_NAME_MAX	64	/* bytes of a secret's name */
#define SIGNATURE_FINGERPRINT_HEX 32 /* hex digits of a fingerprint */

/* Once, before anything else here. 0, or -1 where libsodium cannot start. */
int	signature_start(void) __attribute__((warn_unused_result));

/* Client secrets, in memory that is locked, guarded and wiped. Sentry uses a
 * secret as it is printed (64 hex digits are not decoded), and has no overlap
 * when one is rotated: that is why there may be several. */
struct secrets;

enum secrets_form {
	SECRETS_LIST,	/* between white space or commas; named secret-1.. */
	SECRETS_FILE	/* a line each: `secret` or `name secret`; # comments */
};

/* Reads secrets out of `bytes`. Returns NULL without memory. Lines that are
 * not understood are left out; secrets_bad_line() has the first one's number,
 * 0 for none. No secret at all is a valid result, with a count of 0. */
struct secrets	*secrets_read(struct span bytes, enum secrets_form);
size_t		 secrets_count(const struct secrets *);
unsigned	 secrets_bad_line(const struct secrets *);
/* What one of them looks like that is no secret as Sentry prints it; *name is
 * which. It may be one all the same. */
enum secrets_slip {
	SLIP_NONE,
	SLIP_QUOTES,		/* around it: they would be a part of it */
	SLIP_ASSIGNMENT,	/* NAME=secret */
	SLIP_PLACEHOLDER	/* YOUR-CLIENT-SECRET */
};
enum secrets_slip secrets_slip(const struct secrets *, const char **name);
/* False where the system's limit (RLIMIT_MEMLOCK) lets them go to swap. */
bool		 secrets_locked(const struct secrets *);
const char	*secrets_name(const struct secrets *, size_t);
void		 secrets_free(struct secrets *);

enum signature {
	SIGNATURE_VALID,
	SIGNATURE_MISSING,	/* no header, or an empty one */
	SIGNATURE_LENGTH,	/* not 64 hex digits */
	SIGNATURE_INVALID	/* of other bytes, or by another secret */
};

/* The header alone: VALID says that it has the form of a signature. */
enum signature	signature_form(struct span header);

/* Compares the header with the signature of `body` by every secret, in a time
 * that tells nothing about either. *which is the matching secret's number. */
enum signature	signature_check(const struct secrets *, struct span header,
		    struct span body, size_t *which);

/* What else could have been signed or been the key: a line for a person, or
 * NULL when nothing fits. `root` is the parsed body where it is JSON. */
struct json;
const char	*signature_guess(const struct secrets *, struct span header,
		    struct span body, const struct json *root);

/* The first 32 hex digits of the SHA-256 of `bytes`, and a NUL. */
void signature_fingerprint(
    char hex[SIGNATURE_FINGERPRINT_HEX + 1], struct span bytes);

#endif
