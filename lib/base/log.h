/* One line an event, in logfmt, on standard error; before it <3>, <4> or <6>
 * where that is systemd's journal, so that it knows the level. */
#ifndef LOG_H
#define LOG_H

#include <stdint.h>

#include "base/span.h"

/* A line that is being written. It never grows beyond its buffer: what does
 * not fit is left out, the line stays a line. */
struct log {
	char	buf[2048];
	size_t	len;
};

/* `ts=... level=... event=...`; then members; then out with it. */
void	log_begin(struct log *, const char *level, const char *event);
/* Quoted where needed; controls, quotes and what is not ASCII are escaped as
 * \xNN; at most 200 bytes of it. Nothing where there is no value. */
void	log_span(struct log *, const char *key, struct span);
void	log_str(struct log *, const char *key, const char *);
void	log_int(struct log *, const char *key, int64_t);
/* Never waits: a line that standard error does not take now is dropped. The
 * next one that it takes follows a line that says how many were. */
void	log_end(struct log *);
/* The same for what anybody can cause as often as he likes: a burst is written,
 * then a line a minute, with `left_out`, the number of those in between. */
void	log_end_stranger(struct log *);
unsigned long	log_dropped(void);	/* since the start */

/* A whole line that says one thing in words. */
void	log_say(const char *level, const char *event, const char *msg);

#endif
