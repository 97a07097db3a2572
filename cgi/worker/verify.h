/* `--verify`: why does this signature not match? */
#ifndef VERIFY_H
#define VERIFY_H

#include "worker/keyring.h"

/* Reads the body from `file` (NULL: standard input) and prints which secret
 * signed it, or what would have. Exit status: 0 signed, 1 not, or no answer. */
int	verify(struct keyring *, const char *signature, const char *file);

#endif
