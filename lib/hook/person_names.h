/* Names of people that a body tells of, and taking them out of its texts. */
#ifndef PERSON_NAMES_H
#define PERSON_NAMES_H

#include <stdint.h>

#include "base/text.h"

#define PERSON_NAMES_MAX 8   /* people; those beyond are not looked for */
#define PERSON_NAME_BYTES 96 /* of a name; a longer one is cut at a space */

/* As it is looked for: in small letters, and how far to go back in it where a
 * text goes on otherwise (Knuth, Morris, Pratt). */
struct person_name {
	char		 folded[3 * PERSON_NAME_BYTES];
	uint16_t	 back[3 * PERSON_NAME_BYTES];
	size_t		 len;
	bool		 words;		/* several, with spaces between them */
};

/* Start with count and people 0. Each stands there twice if a URL would write
 * it otherwise, and the longest come first. */
struct person_names {
	struct person_name	 list[2 * PERSON_NAMES_MAX];
	size_t		 count;
	size_t		 people;
};

/* Learns the name that `text` is, without the addresses in it. False if it
 * was known, or is none to look for: under 3 bytes, without a letter, a word
 * like "anonymous", or one too many. */
bool	person_names_learn(struct person_names *, struct span text);

/* Whether `text` had names in it; then `clean` is it with [name] in their
 * places. They are compared without regard to case (of letters that UTF-8
 * writes with one byte or two) and as whole words; any white space is a space,
 * and so is a plus. Of a `program` no name of one word is taken for somebody's:
 * it may be a word of the program's. The time is linear in the text. */
bool	person_names_replace(const struct person_names *, struct text *clean,
	    struct span text, bool program);

#endif
