/* The one proof that a request is Sentry's: HMAC-SHA256 over the raw body. */
#ifndef SIGNATURE_H
#define SIGNATURE_H

#include "base/text.h"
#include "hook/secrets.h"

#define SIGNATURE_HEX	64	/* hex digits of a signature */
#define SIGNATURE_FINGERPRINT_HEX 32	/* hex digits of a fingerprint */

/* Starts libsodium: once, before anything else here and in secrets.h. 0, or -1
 * where libsodium cannot start. */
int	signature_start(void) __attribute__((warn_unused_result));

enum signature {
	SIGNATURE_VALID,
	SIGNATURE_MISSING,	/* no header, or an empty one */
	SIGNATURE_LENGTH,	/* not 64 hex digits */
	SIGNATURE_INVALID	/* of other bytes, or by another secret */
};

/* Looks at the header alone: VALID says that it has the form of a signature. */
enum signature	signature_form(struct span header);

/* Compares the header with the signature of `body` by every secret, in a time
 * that tells nothing about either. *which is the matching secret's number. */
enum signature	signature_check(const struct secrets *, struct span header,
		    struct span body, size_t *which);

/* Guesses what else was signed, or was the key, where the check said INVALID:
 * a line for a person, or NULL when nothing fits. `root` is the parsed body,
 * NULL if it is no JSON. */
struct json;
const char	*signature_guess(const struct secrets *, struct span header,
		    struct span body, const struct json *root);

/* The first 32 hex digits of the SHA-256 of `bytes`, and a NUL. */
void	signature_fingerprint(char hex[SIGNATURE_FINGERPRINT_HEX + 1],
	    struct span bytes);

#endif
