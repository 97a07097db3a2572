/* The command line and the environment. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

enum mode { MODE_SERVE, MODE_CHECK, MODE_VERIFY, MODE_ERASE, MODE_RETRY_BAD };

struct options {
	enum mode	 mode;
	const char	*secret_list;	/* SENTRY_CLIENT_SECRET, or NULL */
	const char	*secret_file;	/* NULL: there is none */
	const char	*db;
	const char	*socket;	/* NULL: what fd 0 is */
	unsigned	 socket_mode;
	unsigned	 threads;
	size_t		 max_body;	/* bytes */
	const char	*spool;
	unsigned	 commit_wait;	/* ms */
	const char	*observe;
	const char	*signature;	/* --verify's */
	const char	*file;		/* --verify's; NULL: standard input */
	bool		 redact;
	bool		 allow_root;
	const char	*person;	/* to erase, or NULL */
	const char	*project;	/* likewise */
	bool		 yes;
};

/* Reads both; options win over the environment. Does not return for --help
 * and --version (exit 0) and for a command line that is wrong (exit 64, with
 * a line on standard error). What *o points to lives as long as the program. */
void	options_read(struct options *o, int argc, char *argv[]);

#endif
