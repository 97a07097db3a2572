/* Checks JSON before json-c parses it, and rewrites what json-c gets wrong. */
#ifndef JSON_SCAN_H
#define JSON_SCAN_H

#include "base/text.h"

#define JSON_DEPTH	128	/* levels; real hooks stay far below 64 */

/* Whether all of `in` is one JSON object (RFC 8259 in UTF-8 without any
 * extension; only white space around it). The text, which is empty before,
 * stays empty if json-c can parse `in` as it is. Else it becomes what json-c
 * shall parse instead: strings and integers that json-c gets wrong are written
 * in another way, and objects and arrays that are called by a name of `but` (a
 * list with a NULL at its end) are null. */
bool	json_scan(struct text *, struct span in, const char *const *but);

#endif
