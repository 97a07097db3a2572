/* Whether bytes are JSON, and what json-c must be told in other words. */
#ifndef JSON_SCAN_H
#define JSON_SCAN_H

#include "base/text.h"

#define JSON_DEPTH	128	/* levels; real hooks stay far below 64 */

/* Whether all of `in` is one JSON object (RFC 8259, in UTF-8, no extension,
 * nothing behind it but white space). Where json-c would not read it as it
 * should, or an object or array has one of the names in `but` (a list with a
 * NULL at its end) and becomes null, what it shall read instead is appended to
 * an empty text, which else stays empty. */
bool	json_scan(struct text *, struct span in, const char *const *but);

#endif
