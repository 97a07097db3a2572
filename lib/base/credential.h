/* A small file that holds one thing: a URL, a name with a password. */
#ifndef CREDENTIAL_H
#define CREDENTIAL_H

#define CREDENTIAL_BYTES	4096	/* more of a file is not read */

/* The first line that is not empty, without white space around it; for
 * free(). NULL where there is none, with the reason in *why. */
char	*credential_read(const char *path, const char **why);

#endif
