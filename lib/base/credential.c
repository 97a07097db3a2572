#include "base/credential.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

char *
credential_read(const char *path, const char **why)
{
	char buf[CREDENTIAL_BYTES + 1], *line;
	size_t n = 0;
	FILE *in = fopen(path, "re");
	bool bad = in == NULL;

	if (in != NULL) {
		n = fread(buf, 1, CREDENTIAL_BYTES, in);
		bad = ferror(in);
	}
	*why = strerror(errno);
	if (in != NULL)
		fclose(in);
	if (bad)
		return NULL;
	buf[n] = '\0';
	line = buf + strspn(buf, " \t\r\n");
	n = strcspn(line, "\r\n");
	while (n > 0 && (line[n - 1] == ' ' || line[n - 1] == '\t'))
		n--;
	*why = n > 0 ? "out of memory" : "there is nothing in it";
	return n > 0 ? strndup(line, n) : NULL;
}
