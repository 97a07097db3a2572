/* A short look into the database: writes what statements find as HTML. */
#ifndef LOOKUP_H
#define LOOKUP_H

#include "store/db.h"
#include "base/text.h"

struct lookup {
	struct text	*out;
	struct db	*db;
	int64_t		 now;		/* ms since 1970 */
	int64_t		 until;		/* ms, monotonic: then it is ended */
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

/* Opens the database for reading, with these statements, whose numbers the
 * functions below take. HTML goes to `out`. On a fault `why` says in a line
 * what is wrong. */
enum fault	lookup_open(struct lookup *, struct text *out, const char *path,
		    const char *const *statements, unsigned count,
		    char why[DB_WHY]) __attribute__((warn_unused_result));
void		lookup_close(struct lookup *);

/* From now on statements may take `ms`; then SQLite interrupts them. So no
 * read transaction is open for longer: while it is, the worker cannot start
 * its write-ahead log from the beginning again, and the file grows. */
void		lookup_limit(struct lookup *, int64_t ms);

/* Writes a table of the statement's rows; on a fault those that were found so
 * far, and then the fault. *rows: how many; *last: the last CELL_ROW. */
void		lookup_table(struct lookup *, unsigned statement,
		    const struct table *, unsigned *rows, int64_t *last);

/* Writes the statement's first row, with a line for each column that has a
 * value. False: there is no row. */
bool		lookup_row(struct lookup *, unsigned statement,
		    const struct column *, unsigned count);

/* Writes that a statement ended with a fault; nothing for FAULT_NONE. */
void		lookup_say_fault(struct lookup *, enum fault);

#endif
