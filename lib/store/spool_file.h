/* The form of a file in the spool: a verified hook as bytes, and back. */
#ifndef SPOOL_FILE_H
#define SPOOL_FILE_H

#include "hook/hook.h"

/* Appends a line with the form's name and version; a line `name: value` for
 * each value; `length: N` and an empty line; N bytes of body; and in hex the
 * fingerprint (signature.h) of all that, by which a torn file is known. */
void	spool_file_format(struct text *, const struct hook *);

/* Reads such a file. The hook's spans refer to the bytes of `file`. False: the
 * file is torn, or not of that form. */
bool	spool_file_parse(struct hook *, struct span file);

#endif
