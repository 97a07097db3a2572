/* Client secrets, in memory that is locked, guarded and wiped. Sentry uses a
 * secret as it is printed (64 hex digits are not decoded). It has no overlap
 * when a secret is rotated: that is why there may be several. */
#ifndef SECRETS_H
#define SECRETS_H

#include "base/span.h"

#define SECRETS_MAX	64	/* in a set; more than a rotation ever needs */
#define SECRET_MIN	8	/* bytes; a shorter one is a slip */
#define SECRET_MAX	512	/* bytes; Sentry's have 64 */
#define SECRET_NAME_MAX	64	/* bytes of a secret's name */

struct secrets;

enum secrets_form {
	SECRETS_LIST,	/* a variable: white space or commas between them */
	SECRETS_FILE	/* a line each: `secret` or `name secret`; # comments */
};

/* Reads secrets out of `bytes`. One without a name, or with a name that looks
 * like a secret, is called after its place: secret-N in a file, environment-N
 * in a list. A line (or word of a list) that is no secret is left out, and
 * secrets_bad_line() has the number of the first such line. Bytes without any
 * secret give a valid set of none. NULL without memory. signature_start()
 * comes first, secrets_free() last. */
struct secrets	*secrets_read(struct span bytes, enum secrets_form);
void		 secrets_free(struct secrets *);

size_t		 secrets_count(const struct secrets *);	/* of NULL: 0 */
unsigned	 secrets_bad_line(const struct secrets *);	/* 0: none */

/* By number, from 0 on; as long as the set. */
const char	*secrets_name(const struct secrets *, size_t);
struct span	 secrets_key(const struct secrets *, size_t);

/* Whether it looks as Sentry's secrets do: 32 hex digits or more. */
bool		 secrets_is_hex(struct span);

/* Whether two are the same secret, whatever their names. Constant time. */
bool		 secrets_same_key(const struct secrets *, size_t,
		    const struct secrets *, size_t);

/* False where the system's limit (RLIMIT_MEMLOCK) lets them go to swap. */
bool		 secrets_locked(const struct secrets *);

/* Finds the first that does not look like what Sentry prints; *name is its
 * name. It may be a secret all the same. */
enum secrets_slip {
	SLIP_NONE,
	SLIP_QUOTES,		/* around it: they would be a part of it */
	SLIP_ASSIGNMENT,	/* NAME=secret */
	SLIP_PLACEHOLDER,	/* YOUR-CLIENT-SECRET */
	SLIP_NAME		/* in a list, which has no names */
};
enum secrets_slip secrets_slip(const struct secrets *, const char **name);

#endif
