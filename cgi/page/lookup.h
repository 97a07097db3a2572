/* A short look into the database: what statements find, as tables. */
#ifndef LOOKUP_H
#define LOOKUP_H

#include "store/db.h"
#include "base/text.h"

struct lookup {
	struct text	*out;
	struct db	*db;
	int64_t		 now;		/* ms since 1970 */
	int64_t		 until;		/* ms, monotonic */
};

enum cell {
	CELL_TEXT,	/* the beginning of it */
	CELL_LONG,	/* more of it */
	CELL_CODE,	/* to be copied */
	CELL_STATE,
	CELL_NUMBER,	/* an integer, or a text about one */
	CELL_TIME,	/* ms since 1970 */
	CELL_AGE,	/* the same, as how long ago */
	CELL_ROW,	/* a row's number, with a link to it */
	CELL_GROUP,	/* the first column: it heads rows of one value */
	CELL_JSON
};

struct column {
	const char	*name;
	enum cell	 cell;
};

struct table {
	const char	*caption;
	const char	*none;		/* said where there is no row */
	const struct column *columns;
	unsigned	 count;		/* of columns */
};

/* Opens for reading. On a fault `why` says in a line what is wrong. */
enum fault	lookup_open(struct lookup *, struct text *out, const char *path,
		    const char *const *statements, unsigned count,
		    char why[DB_WHY]) __attribute__((warn_unused_result));
void		lookup_close(struct lookup *);

/* What is asked next may take so long. A transaction is never open for longer:
 * it would keep the worker from using its WAL anew. */
void		lookup_limit(struct lookup *, int64_t ms);

/* Writes a table with a statement's rows. Where that fails, what was found
 * and why there is no more. *rows says how many, *last is the last CELL_ROW. */
void		lookup_table(struct lookup *, unsigned statement,
		    const struct table *, unsigned *rows, int64_t *last);

/* The first row alone, a field a line; those without a value are left out.
 * False: there is no row. */
bool		lookup_row(struct lookup *, unsigned statement,
		    const struct column *, unsigned count);

/* Says that a statement ended with a fault; nothing for FAULT_NONE. */
void		lookup_say_fault(struct lookup *, enum fault);

#endif
