/* The page that shows the outbox: answers GET with HTML, and only reads. */
#ifndef PAGE_H
#define PAGE_H

#include "server/cgi.h"

/* `db` is the database's path; it outlives the handler. */
struct handler	page_handler(const char *db);

#endif
