/* What an observation refers to: release, issue, commit, project, rule. */
#ifndef REFERENCES_H
#define REFERENCES_H

#include "hook/facts.h"

/* Adds `"references":[...]`. */
void	references_add(struct text *, const struct facts *);

#endif
