/* The members of metadata that several resources have. */
#ifndef METADATA_H
#define METADATA_H

#include "hook/facts.h"

/* Appends `release`, `environment`, `errorType`, `errorValue`, `culprit` and
 * `hasStackTrace` of an issue or event; `error` is the object that has the
 * error's `type` and `value`. */
void	metadata_of_error(struct text *, const struct facts *,
	    struct json error, struct json culprit);

/* Appends `releaseFrom`, if there is a release. */
void	metadata_release_from(struct text *, const struct facts *);

/* Appends the ids that a hook of any resource may hold. */
void	metadata_ids(struct text *, const struct facts *);

/* Appends the members of `v` that have a text, under other names. `names` has
 * pairs of the name in metadata and the name in `v`, and a NULL at the end. */
void	metadata_texts(struct text *, struct json v,
	    const char *const names[]);

#endif
