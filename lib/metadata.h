/* An observation's metadata: the plan's members, then what else is known. */
#ifndef METADATA_H
#define METADATA_H

#include "subject.h"

#define ERROR_VALUE_MAX	8192	/* bytes of metadata.errorValue */

/* Adds `"metadata":{...}`. For an issue gap[0] becomes the end of the value of
 * `release`, gap[1] the place where `releaseFrom` belongs. */
void	metadata_add(struct text *, const struct subject *, size_t gap[2]);

#endif
