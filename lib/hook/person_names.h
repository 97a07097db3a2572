/* The names of people in a body: learning them, replacing them in texts. */
#ifndef PERSON_NAMES_H
#define PERSON_NAMES_H

#include <stdint.h>

#include "base/text.h"

#define PERSON_NAMES_MAX	8	/* people; no more are looked for */
#define PERSON_NAME_BYTES	96	/* of a name; more is cut at a space */

/* A name as it is looked for, with the table by which a search goes on after a
 * byte that does not match (Knuth, Morris, Pratt). A URL writes a byte with up
 * to three. */
struct person_name {
	char		 folded[3 * PERSON_NAME_BYTES];
	uint16_t	 back[3 * PERSON_NAME_BYTES];
	size_t		 len;
	bool		 words;		/* several, with spaces between them */
};

/* Start with count and people 0. A name that a URL writes in another way is in
 * the list twice. The longest come first: a name may hold a shorter one. */
struct person_names {
	struct person_name	 list[2 * PERSON_NAMES_MAX];
	size_t			 count;
	size_t			 people;
};

/* Learns the name that `text` is, without the addresses in it. False if there
 * is nothing new: the name is known already, has under 3 bytes or no letter, is
 * a word like "anonymous", or is one too many. */
bool	person_names_learn(struct person_names *, struct span text);

/* Whether `text` has names in it. If so, appends it to `clean` with [name] in
 * their places. Names are compared as whole words and without regard to case,
 * of letters that UTF-8 writes with one byte or two; any ASCII space equals a
 * space, and so does a plus. In a text that a `program` chose, a name of one
 * word is left: it may be a word of the program's. Time grows with the length
 * of the text, times the number of names. */
bool	person_names_replace(const struct person_names *, struct text *clean,
	    struct span text, bool program);

#endif
