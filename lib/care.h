/* The rules of redaction: what is done with a value because of its place. What
 * they come to is said in redact.h. */
#ifndef CARE_H
#define CARE_H

#include "span.h"

enum care {
	CARE_KEEP,	/* as it is */
	CARE_CALLED,	/* likewise; somebody of the team is called so */
	CARE_TEXT,	/* addresses are taken out of texts */
	CARE_DROP,	/* null */
	CARE_USER,	/* but for its id */
	CARE_ID,	/* as a text; it says who it is */
	CARE_REQUEST,	/* but for its method and URL */
	CARE_URL,	/* up to the query */
	CARE_CONTEXTS,	/* but for those that an SDK fills */
	CARE_NAMED	/* but for its name */
};

/* Of a member called `name` of an object with which `around` is done. `depth`
 * counts objects and lists from the root, which is 1. */
enum care	care_of_member(enum care around, struct span name,
		    unsigned depth);

/* The same where nothing is said about the object; or of the second of a pair
 * whose first is `name`. */
enum care	care_of_name(struct span name, unsigned depth);

#endif
