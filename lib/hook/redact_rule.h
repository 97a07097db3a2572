/* The rules of redact(), as functions: what becomes of a value depends on the
 * names of the members that lead to it, on the first element of a pair, and on
 * what the members of an object say about the object. redact.h has the rules in
 * words. */
#ifndef REDACT_RULE_H
#define REDACT_RULE_H

#include "base/span.h"

enum redact_rule {
	REDACT_KEEP,		/* stays as it is */
	REDACT_CALLED,		/* stays: the name of somebody of the team */
	REDACT_TEXT,		/* texts: addresses and names are replaced */
	REDACT_PROGRAM,		/* the same, but a name of one word stays */
	REDACT_VERSION,		/* the same, and no IP address is looked for:
				 * 1.2.3.4 is a version */
	REDACT_ID,		/* as REDACT_TEXT: the id of a user */
	REDACT_UNNAMED,		/* an object: its `name` becomes null */
	REDACT_PERSON,		/* an object: its `name` is somebody's */
	REDACT_EVIDENCE,	/* { name, value } or [name, value] each */
	REDACT_DROP,		/* becomes null: somebody's address or name */
	REDACT_DATA,		/* becomes null: what an application knew when
				 * it failed */
	REDACT_NAME,		/* becomes null: a person's name, which is
				 * then replaced in all texts */
	REDACT_CONTACT,		/* becomes null: an object whose `name` is
				 * somebody's */
	REDACT_USER,		/* becomes null, but for its id */
	REDACT_REQUEST,		/* becomes null, but for its method and URL */
	REDACT_URL,		/* as REDACT_TEXT, and ends before its query */
	REDACT_CONTEXTS		/* contexts: null if no SDK of Sentry's fills
				 * them */
};

/* The rule for the member `name` of an object that has the rule `around`.
 * `depth` is the number of objects and lists around it; the root's members have
 * 1. */
enum redact_rule	redact_rule_of_member(enum redact_rule around,
			    struct span name, unsigned depth);

/* The rule for what stands behind `name` in a list [name, value]. */
enum redact_rule	redact_rule_of_pair(enum redact_rule around,
			    struct span name, unsigned depth);

/* Whether members, pairs and texts in such a value have rules of their own. */
bool	redact_rule_enters(enum redact_rule);

/* Whether all of such a value becomes null. */
bool	redact_rule_drops(enum redact_rule);

/* ---- What an object says about itself ---- */

/* The members that say something about the others. */
enum redact_part {
	REDACT_PART_OTHER,
	REDACT_PART_NAME,	/* what an entry's value is: `name` ... */
	REDACT_PART_KEY,	/* ... or `key`, `label` */
	REDACT_PART_VALUE,	/* that value */
	REDACT_PART_CONTACT	/* only objects of feedback have it */
};
enum redact_part	redact_rule_part(struct span name);

/* Bits: what an object was seen to have. A walk remembers the last three for
 * the next walk, which gives them to redact_rule_of_marked(). */
enum {
	REDACT_HAS_NAME		= 1,	/* `name`, which is a text */
	REDACT_HAS_VALUE	= 2,
	REDACT_ENTRY		= 4,	/* its value is personal */
	REDACT_ENTRY_NAME	= 8,	/* its value is somebody's name */
	REDACT_OF_PERSON	= 16,	/* its `name` is somebody's */
	REDACT_ENTRY_USER	= 32	/* its value is a user's id, or more */
};

/* The bits that an entry's name gives, in an object with the rule `around`. */
unsigned	redact_rule_label(enum redact_rule around, struct span label);

/* The bits to remember of an object whose members were all seen. */
unsigned	redact_rule_marks(enum redact_rule around, unsigned seen);

/* The rule for the member `name` of an object of which `marks` are remembered;
 * `rule` is what redact_rule_of_member() said. */
enum redact_rule	redact_rule_of_marked(unsigned marks,
			    enum redact_rule around, enum redact_rule rule,
			    struct span name);

#endif
