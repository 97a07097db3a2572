/* A small file that holds one secret: a URL with a key, a name with a
 * password. */
#ifndef CREDENTIAL_H
#define CREDENTIAL_H

#define CREDENTIAL_BYTES	4096	/* of a file; what follows is ignored */

/* Reads the first line that is not empty, without the white space around it.
 * The caller frees it. NULL if there is none; *why is a static text then. */
char	*credential_read(const char *path, const char **why);

#endif
