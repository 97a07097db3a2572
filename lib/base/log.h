/* The log: one line an event, in logfmt, on standard error. Where systemd's
 * journal reads it, <3>, <4> or <6> before each line tells the level. */
#ifndef LOG_H
#define LOG_H

#include <stdint.h>

#include "base/span.h"

#define LOG_LINE_MAX	2048	/* bytes, with the newline */

/* A line that is being written. What does not fit into it is left out; the line
 * still ends with a newline. */
struct log {
	char	buf[LOG_LINE_MAX];
	size_t	len;
};

/* Begins a line with `ts=... level=... event=...`. Levels are "error",
 * "warning" and "info". */
void	log_begin(struct log *, const char *level, const char *event);

/* Adds KEY=VALUE. The value is quoted where needed, and cut to 200 bytes.
 * Control characters and what is not ASCII become \xNN, quotes and backslashes
 * get a backslash. A missing value (NULL) adds nothing. */
void	log_span(struct log *, const char *key, struct span);
void	log_str(struct log *, const char *key, const char *);
void	log_int(struct log *, const char *key, int64_t);

/* Writes the line, and never waits: a line that standard error does not take at
 * once is dropped. Before the next line that it takes, another one says how
 * many were dropped. */
void	log_end(struct log *);

/* The same, for an event that any stranger can cause as often as they like: a
 * burst of lines is written, then one a minute, whose `left_out` is the number
 * of lines that were left out (log_limit.h). */
void	log_end_stranger(struct log *);

/* The lines that log_end() has dropped since the start. */
unsigned long	log_dropped(void);

/* Writes a whole line, with a message in words. */
void	log_say(const char *level, const char *event, const char *msg);

#endif
