/* What redact() does with a value, which depends on where the value stands:
 * on the names of the members, or the first of the pair, that lead to it, and
 * on what its object says of itself. redact.h lists the rules in words; this
 * is the table of them. */
#ifndef CARE_H
#define CARE_H

#include "base/span.h"

enum care {
	CARE_KEEP,	/* left as it is */
	CARE_CALLED,	/* left as it is: the name of somebody of the team */
	CARE_TEXT,	/* addresses and names are taken out of texts */
	CARE_PROGRAM,	/* likewise, but a name of one word is left in it */
	CARE_ID,	/* treated as a text: the id of a user */
	CARE_UNNAMED,	/* an object: its `name` becomes null */
	CARE_PERSON,	/* an object: its `name` is somebody's */
	CARE_EVIDENCE,	/* entries: { name, value }, or lists of these two */
	CARE_DROP,	/* becomes null */
	CARE_NAME,	/* becomes null: somebody's name, to be taken out of
			 * all texts */
	CARE_CONTACT,	/* becomes null: an object in which `name` is
			 * somebody's */
	CARE_USER,	/* becomes null, but for its id */
	CARE_REQUEST,	/* becomes null, but for its method and URL */
	CARE_URL,	/* as a text that ends before its query */
	CARE_CONTEXTS	/* those that no SDK of Sentry's fills become null */
};

/* For the member called `name` of an object for which `around` was answered.
 * `depth` counts the objects and lists around it; the root's members have 1. */
enum care	care_of_member(enum care around, struct span name,
		    unsigned depth);

/* For what stands behind `name` in a list [name, value]. */
enum care	care_of_pair(enum care around, struct span name,
		    unsigned depth);

/* Whether members, pairs and texts in there are looked at one by one. */
bool		care_looks(enum care);
/* Whether all that is in there becomes null. */
bool		care_drops(enum care);

/* ---- What an object says of itself ---- */

/* Members that say something about the others. */
enum part {
	PART_OTHER,
	PART_NAME, PART_KEY,	/* what an entry's value is */
	PART_VALUE,		/* that value */
	PART_CONTACT		/* only who gave feedback has it */
};
enum part	care_part(struct span name);

/* Bits: what an object was seen to have. The last ones are what is remembered
 * of it, for the next walk, and then given to care_of_marked(). */
enum {
	CARE_HAS_NAME	= 1,	/* `name`, which is a text */
	CARE_HAS_VALUE	= 2,
	CARE_ENTRY	= 4,	/* its value is personal */
	CARE_ENTRY_NAME	= 8,	/* its value is somebody's name */
	CARE_OF_PERSON	= 16	/* its `name` is somebody's */
};

/* What an entry's name says, in an object for which `around` was answered. */
unsigned	care_label(enum care around, struct span label);

/* What is to be remembered, now that all was seen. */
unsigned	care_marks(enum care around, unsigned seen);

/* What becomes of care_of_member()'s answer where `marks` are remembered. */
enum care	care_of_marked(unsigned marks, enum care around,
		    enum care answer, struct span name);

#endif
