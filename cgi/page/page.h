/* The page to look at: one GET in, HTML out. It only ever reads. */
#ifndef PAGE_H
#define PAGE_H

#include "server/cgi.h"

/* The database's path outlives it. */
struct handler	page_handler(const char *db);

#endif
