/* What a JSON string says. */
#ifndef QUOTED_H
#define QUOTED_H

#include "text.h"

/* Appends the text of a string, of which `s` is what stands between the
 * quotes. A surrogate without its other half becomes U+FFFD. False when an
 * escape is none. */
bool	quoted_text(struct text *, struct span s)
	    __attribute__((warn_unused_result));

#endif
