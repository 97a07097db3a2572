/* sentry-deliver's command line and environment. */
#ifndef DELIVER_OPTIONS_H
#define DELIVER_OPTIONS_H

#include <stdbool.h>

/* A text is NULL where nobody gave it, and lives as long as the program. */
struct deliver_options {
	char		*to;		/* the sink's URL, or "-": it may hold
					 * a key */
	const char	*to_name;	/* what messages call it: the option,
					 * variable or file that it is from */
	const char	*to_file;
	const char	*db;
	const char	*metrics;
	const char	*stream;
	const char	*creds, *user_file, *ca;
	bool		 once, create_stream;
	unsigned	 max_attempts, keep_days, timeout_s, batch_events;
	unsigned	 requests, replicas, settle_s;
};

/* What kind of sink the URL is for. */
enum deliver_kind {
	DELIVER_PRINT,
	DELIVER_HTTP,
	DELIVER_NATS
};

/* Reads and checks all; says in a line what is wrong, and exits 64. */
void		 deliver_options_read(struct deliver_options *, int argc,
		    char *argv[]);
void		 deliver_options_release(struct deliver_options *);

enum deliver_kind	deliver_options_kind(const struct deliver_options *);

#endif
