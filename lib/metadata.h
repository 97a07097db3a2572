/* An observation's metadata: the plan's members, then what else is known. */
#ifndef METADATA_H
#define METADATA_H

#include "subject.h"

#define ERROR_VALUE_MAX	8192	/* bytes of metadata.errorValue */

/* Adds `"metadata":{...}`. gap[0] becomes the place of the value of `release`,
 * gap[1] that where `releaseFrom` belongs. */
void	metadata_add(struct text *, const struct subject *, size_t gap[2]);

#endif
