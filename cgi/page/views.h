/* The two views of the page: the overview, and one row in full. */
#ifndef VIEWS_H
#define VIEWS_H

#include "store/db.h"
#include "base/text.h"

/* Appends the overview; its dead rows are those with an id below `before`. On
 * a fault nothing is appended, and `why` says in a line what is wrong. */
enum fault	views_overview(struct text *, const char *db, int64_t before,
		    char why[DB_WHY]) __attribute__((warn_unused_result));

/* Appends the row `id` of the outbox; *found: whether there is one. Faults as
 * above. */
enum fault	views_row(struct text *, const char *db, int64_t id,
		    bool *found, char why[DB_WHY])
		    __attribute__((warn_unused_result));

#endif
