/* What the page shows: an overview, or one row in full. */
#ifndef VIEWS_H
#define VIEWS_H

#include "store/db.h"
#include "base/text.h"

/* Appends the overview; of the dead rows those before `before`. On a fault
 * nothing is appended, and `why` says in a line what is wrong. */
enum fault	views_overview(struct text *, const char *db, int64_t before,
		    char why[DB_WHY]) __attribute__((warn_unused_result));

/* Appends a row of the outbox. *found says whether there is one. */
enum fault	views_row(struct text *, const char *db, int64_t id,
		    bool *found, char why[DB_WHY])
		    __attribute__((warn_unused_result));

#endif
