/* The references of an observation: release, issue, commit, project, rule. */
#ifndef REFERENCES_H
#define REFERENCES_H

#include "hook/facts.h"

/* Appends `"references":[...]`. */
void	references_add(struct text *, const struct facts *);

#endif
