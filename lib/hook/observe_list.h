/* The list that says which resources and actions are observed: entries of the
 * form `resource.action`, `resource.*` or `*`, separated by white space or
 * commas. */
#ifndef OBSERVE_LIST_H
#define OBSERVE_LIST_H

#include "base/span.h"

#define OBSERVE_LIST_DEFAULT \
	"issue.created issue.resolved issue.assigned error.created " \
	"event_alert.triggered metric_alert.*"

/* Whether an entry of the list names this resource and action. */
bool	observe_list_has(struct span list, struct span resource,
	    struct span action);

/* Whether every entry is of that form. */
bool	observe_list_valid(struct span list);

/* Whether a list of plain words holds this word. */
bool	observe_list_word(struct span list, struct span word);

#endif
