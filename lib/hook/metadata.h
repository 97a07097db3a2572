/* What the metadata of several resources share. */
#ifndef METADATA_H
#define METADATA_H

#include "hook/facts.h"

/* `release`, `environment`, `errorType`, `errorValue`, `culprit` and
 * `hasStackTrace` of an issue or event; `error` has the type and value. */
void	metadata_of_error(struct text *, const struct facts *,
	    struct json error, struct json culprit);

/* `releaseFrom`, where there is a release. */
void	metadata_release_from(struct text *, const struct facts *);

/* The ids that a hook of any kind may hold. */
void	metadata_ids(struct text *, const struct facts *);

/* The members of `v` that have a text, under other names; pairs of the name
 * here and the name there, and a NULL at the end. */
void	metadata_texts(struct text *, struct json v,
	    const char *const names[]);

#endif
