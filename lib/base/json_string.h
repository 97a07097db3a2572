/* What a JSON string says. */
#ifndef JSON_STRING_H
#define JSON_STRING_H

#include "base/text.h"

/* Appends the text of a string, of which `s` is what stands between the
 * quotes. A surrogate without its other half becomes U+FFFD. False when an
 * escape is none. */
bool	json_string_decode(struct text *, struct span s)
	    __attribute__((warn_unused_result));

/* The index behind the string whose opening quote is at s.at[i]; 0 if there is
 * no end, a control, an escape that is none or bad UTF-8. Sets *odd where a
 * pair of escapes makes a character whose last 16 bits are a surrogate's. */
size_t	json_string_end(struct span s, size_t i, bool *odd);

#endif
