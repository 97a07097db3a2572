/* What an observation refers to: release, issue, commit, project, rule. */
#ifndef REFERENCES_H
#define REFERENCES_H

#include "subject.h"

/* Adds `"references":[...]`. gap[0] and gap[1] become the places in the text
 * where a release that is learned later, and its commit, belong. */
void	references_add(struct text *, const struct subject *, size_t gap[2]);

/* The elements for these two places. */
void	references_learned(struct text *, struct span release);
void	references_learned_commit(struct text *, struct span release);

#endif
