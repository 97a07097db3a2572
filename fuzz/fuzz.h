/* What the fuzz targets share. A target is one function that takes any bytes;
 * it is driven by an engine (configure --with-fuzz-engine, make fuzz) or, over
 * the corpus, by replay.c (make check). */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdint.h>

#include "base/span.h"

/* Returns 0, always; what must not happen aborts. */
int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* Says what does not hold, and aborts. */
#define claim(what) \
	((what) ? (void)0 : fuzz_fail(#what, __FILE__, __LINE__))
_Noreturn void	fuzz_fail(const char *what, const char *file, int line);

/* Second opinions. SQLite's on JSON; how many characters of UTF-8 by the
 * table of the Unicode standard (3-7), -1 if it is none; the signature of a
 * body in lower case, and a NUL. */
bool	fuzz_json_valid(struct span);
long	fuzz_points(struct span);
void	fuzz_sign(char hex[65], struct span key, struct span body);

#endif
