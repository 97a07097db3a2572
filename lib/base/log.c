#include "base/log.h"

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log_limit.h"

#define VALUE_MAX	200	/* bytes of a value before escaping */

/* How a line is written so that a slow reader of the log stops no thread:
 * write() to a file, or to a pipe of our own that does not wait; send() to a
 * socket; poll() before write() to anything else. */
static enum { OUT_WRITE, OUT_SEND, OUT_POLL } how;
static int		 out = STDERR_FILENO;
static bool		 journal;	/* the reader is systemd's journal */
static pthread_once_t	 once = PTHREAD_ONCE_INIT;	/* sets the above */

static pthread_mutex_t	 limit_lock = PTHREAD_MUTEX_INITIALIZER;
static struct log_limit	 strangers;	/* guarded by limit_lock */

static unsigned long	 dropped;	/* atomic: lines, since the start */
static unsigned long	 unsaid;	/* atomic: of them, not yet logged */

static void
log_add_bytes(struct log *l, const char *at, size_t len)
{
	/* A byte is kept back for the newline. */
	if (len > sizeof(l->buf) - 1 - l->len)
		return;
	memcpy(l->buf + l->len, at, len);
	l->len += len;
}

static void
log_add_str(struct log *l, const char *s)
{
	log_add_bytes(l, s, strlen(s));
}

/* "ts=2026-11-24T21:25:39.123Z". Each thread formats the part up to the second
 * once a second. */
static void
log_add_time(struct log *l)
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
	log_add_str(l, calendar);
	log_add_bytes(l, ms, sizeof(ms) - 1);
}

/* Whether standard error is the stream that systemd has connected to its
 * journal, and not redirected since: JOURNAL_STREAM is the "DEVICE:INODE" of
 * that stream (systemd.exec(5)). */
static bool
is_journal(const struct stat *st)
{
	const char *s = getenv("JOURNAL_STREAM");
	char here[64];

	snprintf(here, sizeof(here), "%ju:%ju", (uintmax_t)st->st_dev,
	    (uintmax_t)st->st_ino);
	return s != NULL && strcmp(s, here) == 0;
}

/* O_NONBLOCK on standard error itself would hold for all processes that share
 * it. So a pipe is opened once more, for us alone. */
static void
log_open_out(void)
{
	struct stat st;

	if (fstat(STDERR_FILENO, &st) != 0)
		return;
	journal = is_journal(&st);
	if (S_ISREG(st.st_mode))
		return;
	how = OUT_POLL;
	if (S_ISSOCK(st.st_mode)) {
		how = OUT_SEND;
	} else if ((out = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK |
	    O_NOCTTY | O_CLOEXEC)) >= 0) {
		how = OUT_WRITE;
	} else {
		out = STDERR_FILENO;
	}
}

/* The priority of syslog(3) that the journal takes from the front of a line
 * (sd-daemon(3)). */
static const char *
log_priority(const char *level)
{
	return strcmp(level, "error") == 0 ? "<3>" :
	    strcmp(level, "warning") == 0 ? "<4>" : "<6>";
}

void
log_begin(struct log *l, const char *level, const char *event)
{
	pthread_once(&once, log_open_out);
	l->len = 0;
	if (journal)
		log_add_str(l, log_priority(level));
	log_add_time(l);
	log_str(l, "level", level);
	log_str(l, "event", event);
}

static bool
is_plain_value(struct span s)
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
	log_add_str(l, " ");
	log_add_str(l, key);
	log_add_str(l, "=");
	if (s.len > VALUE_MAX)
		s.len = VALUE_MAX;
	if (is_plain_value(s)) {
		log_add_bytes(l, s.at, s.len);
		return;
	}
	log_add_str(l, "\"");
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.at[i];

		if (c == '"' || c == '\\')
			snprintf(hex, sizeof(hex), "\\%c", c);
		else if (c < 0x20 || c >= 0x7f)
			snprintf(hex, sizeof(hex), "\\x%02x", c);
		else
			snprintf(hex, sizeof(hex), "%c", c);
		log_add_str(l, hex);
	}
	log_add_str(l, "\"");
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

/* One write, so that lines of many threads do not mix. */
static bool
log_put(struct log *l)
{
	struct pollfd p = { .fd = out, .events = POLLOUT };

	l->buf[l->len++] = '\n';
	if (how == OUT_SEND)
		return send(out, l->buf, l->len, MSG_DONTWAIT |
		    MSG_NOSIGNAL) >= 0;
	if (how == OUT_POLL && (poll(&p, 1, 0) != 1 ||
	    (p.revents & POLLOUT) == 0))
		return false;
	return write(out, l->buf, l->len) >= 0;
}

static bool
log_say_dropped(unsigned long lines)
{
	struct log l;

	log_begin(&l, "warning", "log-dropped");
	log_int(&l, "lines", (int64_t)lines);
	return log_put(&l);
}

void
log_end(struct log *l)
{
	unsigned long lost;

	lost = __atomic_exchange_n(&unsaid, 0, __ATOMIC_RELAXED);
	if (lost > 0 && !log_say_dropped(lost))
		__atomic_add_fetch(&unsaid, lost, __ATOMIC_RELAXED);
	/* A line that cannot be written is counted: there is no other place to
	 * report it. */
	if (log_put(l))
		return;
	__atomic_add_fetch(&unsaid, 1, __ATOMIC_RELAXED);
	__atomic_add_fetch(&dropped, 1, __ATOMIC_RELAXED);
}

void
log_end_stranger(struct log *l)
{
	unsigned long left_out;
	bool passes;

	pthread_mutex_lock(&limit_lock);
	passes = log_limit_passes(&strangers, clock_ms(), &left_out);
	pthread_mutex_unlock(&limit_lock);
	if (!passes)
		return;
	if (left_out > 0)
		log_int(l, "left_out", (int64_t)left_out);
	log_end(l);
}

unsigned long
log_dropped(void)
{
	return __atomic_load_n(&dropped, __ATOMIC_RELAXED);
}

void
log_say(const char *level, const char *event, const char *msg)
{
	struct log l;

	log_begin(&l, level, event);
	log_str(&l, "msg", msg);
	log_end(&l);
}
