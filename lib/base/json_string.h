/* JSON strings: finding their end, decoding their escapes. */
#ifndef JSON_STRING_H
#define JSON_STRING_H

#include "base/text.h"

/* Appends the text of a string; `s` is what stands between its quotes. A
 * surrogate without its other half becomes U+FFFD. False at a wrong escape. */
bool	json_string_decode(struct text *, struct span s)
	    __attribute__((warn_unused_result));

/* The index behind the string whose opening quote is at s.at[i]; 0 if it has no
 * end, a control character, a wrong escape or bad UTF-8. Sets *odd if a pair of
 * escapes makes a character whose last 16 bits look like a surrogate. */
size_t	json_string_end(struct span s, size_t i, bool *odd);

#endif
