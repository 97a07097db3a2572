/* The command line of sentry-backfill. */
#ifndef BACKFILL_OPTIONS_H
#define BACKFILL_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#define BACKFILL_SELECTION	2048	/* bytes, with the NUL */

struct backfill_options {
	const char	*org, *app, *token_file, *base, *ca, *installation;
	const char	*since, *until, *db, *observe;
	bool		 is_auto;	/* --since auto */
	int64_t		 since_ms, until_ms;	/* 0: not said */
	bool		 redact, dry_run, yes;
	unsigned	 horizon;	/* days */
	unsigned	 timeout;	/* seconds */
	char		*token;		/* free() it */
};

/* Reads the options, the environment and the token's file; exits 64 if any of
 * it is wrong. */
void	backfill_options_read(struct backfill_options *, int argc,
	    char *argv[]);

/* What makes two runs the same one, of which the second goes on where the first
 * was cut: the options that say what is fetched, as they were given. */
void	backfill_options_selection(const struct backfill_options *,
	    char out[BACKFILL_SELECTION]);

#endif
