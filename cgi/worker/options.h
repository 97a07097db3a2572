/* The command line and the environment. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdint.h>

#include "server/serve.h"

enum mode {
	MODE_SERVE, MODE_CHECK, MODE_VERIFY, MODE_ERASE, MODE_RETRY_BAD,
	MODE_REPROCESS
};

/* Which kept hooks --reprocess means; NULL and 0 select all. */
struct selection {
	int64_t		 since, until;	/* ms since 1970 */
	const char	*resource, *action, *project, *outcome;
	bool		 all;
};

struct options {
	enum mode	 mode;
	struct serve_options serve;
	const char	*secret_list;	/* SENTRY_CLIENT_SECRET, or NULL */
	const char	*secret_file;	/* NULL: there is none */
	size_t		 max_body;	/* bytes */
	const char	*spool;
	unsigned	 commit_wait;	/* ms */
	const char	*observe;
	const char	*signature;	/* --verify's */
	const char	*file;		/* --verify's; NULL: standard input */
	bool		 redact;
	const char	*person;	/* to erase, or NULL */
	const char	*project;	/* likewise */
	bool		 yes;
	struct selection select;
	bool		 dry_run, update, new_id;	/* of --reprocess */
};

/* Reads both; options win over the environment. Exits for --help and --version
 * (status 0), and for a command line that is wrong (64, after a line on
 * standard error). What *o points to lives as long as the program. */
void	options_read(struct options *o, int argc, char *argv[]);

#endif
