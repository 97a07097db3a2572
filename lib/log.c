#include "log.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define VALUE_MAX	200	/* bytes of a value before escaping */

static void
add(struct log *l, const char *at, size_t len)
{
	/* A byte is kept back for the newline. */
	if (len > sizeof(l->buf) - 1 - l->len)
		return;
	memcpy(l->buf + l->len, at, len);
	l->len += len;
}

static void
add_str(struct log *l, const char *s)
{
	add(l, s, strlen(s));
}

/* "ts=2026-11-24T21:25:39.123Z"; the calendar is asked once a second. */
static void
add_time(struct log *l)
{
	static _Thread_local time_t second = -1;
	static _Thread_local char calendar[64];
	char ms[] = ".000Z";
	struct timespec ts;
	struct tm tm;
	size_t n;

	clock_gettime(CLOCK_REALTIME, &ts);
	if (ts.tv_sec != second) {
		second = ts.tv_sec;
		gmtime_r(&second, &tm);
		n = strftime(calendar, sizeof(calendar) - 1,
		    "ts=%Y-%m-%dT%H:%M:%S", &tm);
		calendar[n] = '\0';
	}
	ms[1] = (char)('0' + ts.tv_nsec / 100000000);
	ms[2] = (char)('0' + ts.tv_nsec / 10000000 % 10);
	ms[3] = (char)('0' + ts.tv_nsec / 1000000 % 10);
	add_str(l, calendar);
	add(l, ms, sizeof(ms) - 1);
}

void
log_begin(struct log *l, const char *level, const char *event)
{
	l->len = 0;
	add_time(l);
	log_str(l, "level", level);
	log_str(l, "event", event);
}

static bool
plain(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.at[i] <= 0x20 || s.at[i] >= 0x7f || s.at[i] == '"' ||
		    s.at[i] == '=' || s.at[i] == '\\')
			return false;
	return s.len > 0;
}

void
log_span(struct log *l, const char *key, struct span s)
{
	char hex[8];

	if (s.at == NULL)
		return;
	add_str(l, " ");
	add_str(l, key);
	add_str(l, "=");
	if (s.len > VALUE_MAX)
		s.len = VALUE_MAX;
	if (plain(s)) {
		add(l, s.at, s.len);
		return;
	}
	add_str(l, "\"");
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.at[i];

		if (c == '"' || c == '\\')
			snprintf(hex, sizeof(hex), "\\%c", c);
		else if (c < 0x20 || c >= 0x7f)
			snprintf(hex, sizeof(hex), "\\x%02x", c);
		else
			snprintf(hex, sizeof(hex), "%c", c);
		add_str(l, hex);
	}
	add_str(l, "\"");
}

void
log_str(struct log *l, const char *key, const char *s)
{
	log_span(l, key, span_of(s));
}

void
log_int(struct log *l, const char *key, int64_t n)
{
	char buf[32];

	snprintf(buf, sizeof(buf), "%" PRId64, n);
	log_str(l, key, buf);
}

void
log_end(struct log *l)
{
	ssize_t n;

	l->buf[l->len++] = '\n';
	/* One write, so that lines of many threads do not mix. There is
	 * nowhere to complain about a failed one. */
	n = write(STDERR_FILENO, l->buf, l->len);
	(void)n;
}

void
log_say(const char *level, const char *event, const char *msg)
{
	struct log l;

	log_begin(&l, level, event);
	log_str(&l, "msg", msg);
	log_end(&l);
}
