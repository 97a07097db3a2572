/* A verified hook as the bytes of a file, and back. */
#ifndef SPOOL_FILE_H
#define SPOOL_FILE_H

#include "hook/hook.h"

/* MAGIC, lines `name: value`, `length: N`, an empty line, N bytes of body,
 * and the fingerprint of all before it: a torn file is not a hook. */
void	spool_file_format(struct text *, const struct hook *);

/* The hook's spans lead into `file`. False for anything torn, and for what is
 * not of that form. */
bool	spool_file_parse(struct hook *, struct span file);

#endif
