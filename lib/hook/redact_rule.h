/* What redact() does with a value, which depends on where the value stands:
 * on the names of the members, or the first of the pair, that lead to it, and
 * on what its object says of itself. redact.h lists the rules in words; this
 * is the table of them. */
#ifndef REDACT_RULE_H
#define REDACT_RULE_H

#include "base/span.h"

enum redact_rule {
	REDACT_KEEP,     /* left as it is */
	REDACT_CALLED,   /* left as it is: the name of somebody of the team */
	REDACT_TEXT,     /* addresses and names are taken out of texts */
	REDACT_PROGRAM,  /* likewise, but a name of one word is left in it */
	REDACT_ID,       /* treated as a text: the id of a user */
	REDACT_UNNAMED,  /* an object: its `name` becomes null */
	REDACT_PERSON,   /* an object: its `name` is somebody's */
	REDACT_EVIDENCE, /* entries: { name, value }, or lists of these two */
	REDACT_DROP,     /* becomes null */
	REDACT_NAME,     /* becomes null: somebody's name, to be taken out of
			  * all texts */
	REDACT_CONTACT,  /* becomes null: an object in which `name` is
			  * somebody's */
	REDACT_USER,     /* becomes null, but for its id */
	REDACT_REQUEST,  /* becomes null, but for its method and URL */
	REDACT_URL,      /* as a text that ends before its query */
	REDACT_CONTEXTS  /* those that no SDK of Sentry's fills become null */
};

/* For the member called `name` of an object for which `around` was answered.
 * `depth` counts the objects and lists around it; the root's members have 1. */
enum redact_rule redact_rule_of_member(
    enum redact_rule around, struct span name, unsigned depth);

/* For what stands behind `name` in a list [name, value]. */
enum redact_rule redact_rule_of_pair(
    enum redact_rule around, struct span name, unsigned depth);

/* Whether members, pairs and texts in there are looked at one by one. */
bool		redact_rule_enters(enum redact_rule);
/* Whether all that is in there becomes null. */
bool		redact_rule_drops(enum redact_rule);

/* ---- What an object says of itself ---- */

/* Members that say something about the others. */
enum redact_part {
	REDACT_PART_OTHER,
	REDACT_PART_NAME, REDACT_PART_KEY,	/* what an entry's value is */
	REDACT_PART_VALUE,		/* that value */
	REDACT_PART_CONTACT		/* only who gave feedback has it */
};
enum redact_part	redact_rule_part(struct span name);

/* Bits: what an object was seen to have. The last ones are what is remembered
 * of it, for the next walk, and then given to redact_rule_of_marked(). */
enum {
	REDACT_HAS_NAME	= 1,	/* `name`, which is a text */
	REDACT_HAS_VALUE	= 2,
	REDACT_ENTRY	= 4,	/* its value is personal */
	REDACT_ENTRY_NAME	= 8,	/* its value is somebody's name */
	REDACT_OF_PERSON	= 16	/* its `name` is somebody's */
};

/* What an entry's name says, in an object for which `around` was answered. */
unsigned	redact_rule_label(enum redact_rule around, struct span label);

/* What is to be remembered, now that all was seen. */
unsigned	redact_rule_marks(enum redact_rule around, unsigned seen);

/* What becomes of redact_rule_of_member()'s answer where `marks` are
 * remembered. */
enum redact_rule redact_rule_of_marked(unsigned marks, enum redact_rule around,
    enum redact_rule answer, struct span name);

#endif
