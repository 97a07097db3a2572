/* `--verify`: why does this signature not match? */
#ifndef VERIFY_COMMAND_H
#define VERIFY_COMMAND_H

#include "worker/keyring.h"

/* Reads the body from `file` (NULL: standard input) and prints which secret
 * signed it; if none did, what else may have been signed or been the key.
 * Returns the exit status: 0 signed, 1 not signed, or not readable. */
int	verify_command(struct keyring *, const char *signature,
	    const char *file);

#endif
