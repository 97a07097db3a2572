/* A fuzz target without an engine: runs it once for each file that is given.
 * The name comes before the run, so that it is the last one after a crash. */
#include <stdio.h>
#include <stdlib.h>

#include "fuzz.h"

#define INPUT_MAX	1048576	/* bytes */

static int
run(const char *path)
{
	FILE *f = fopen(path, "rb");
	uint8_t *whole = malloc(INPUT_MAX), *exact = NULL;
	size_t n = 0;
	int bad = f == NULL || whole == NULL;

	fprintf(stderr, "%s\n", path);
	if (!bad)
		n = fread(whole, 1, INPUT_MAX, f);
	bad = bad || ferror(f);
	/* Of the exact size, so that a byte too far is seen. */
	if (!bad && (exact = malloc(n > 0 ? n : 1)) != NULL) {
		memcpy(exact, whole, n);
		(void)LLVMFuzzerTestOneInput(exact, n);
	}
	if (f != NULL)
		fclose(f);
	bad = bad || exact == NULL;
	free(whole);
	free(exact);
	return bad;
}

int
main(int argc, char *argv[])
{
	int i;

	for (i = 1; i < argc; i++)
		if (run(argv[i]) != 0) {
			perror(argv[i]);
			return 1;
		}
	printf("%d files\n", argc - 1);
	return 0;
}
