#include "base/timestamp.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/ascii.h"

#define FRACTION_MAX	40			/* digits */
#define FIRST_SECOND	(-62167219200LL)	/* 0000-01-01T00:00:00Z */
#define LAST_SECOND	253402300799LL		/* 9999-12-31T23:59:59Z */

static bool
timestamp_print(struct timestamp *when, int64_t seconds, struct span fraction)
{
	time_t t = (time_t)seconds;
	struct tm tm;
	int len;

	when->iso[0] = '\0';
	if (seconds < FIRST_SECOND || seconds > LAST_SECOND ||
	    gmtime_r(&t, &tm) == NULL)
		return false;
	if (fraction.len > FRACTION_MAX)
		fraction.len = FRACTION_MAX;
	len = snprintf(when->iso, sizeof(when->iso),
	    "%04d-%02d-%02dT%02d:%02d:%02d%s%.*sZ", tm.tm_year + 1900,
	    tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
	    fraction.len > 0 ? "." : "", (int)fraction.len,
	    fraction.len > 0 ? fraction.at : "");
	return len > 0 && (size_t)len < sizeof(when->iso);
}

/* Takes exactly n digits from the front of *s. */
static bool
take_digits(struct span *s, size_t n, int *value)
{
	size_t i;

	if (s->len < n)
		return false;
	for (*value = 0, i = 0; i < n; i++) {
		if (!ascii_is_digit(s->at[i]))
			return false;
		*value = *value * 10 + (s->at[i] - '0');
	}
	*s = span_behind(*s, n);
	return true;
}

/* Takes a character of `any` off the front. */
static bool
take_one_of(struct span *s, const char *any)
{
	if (s->len == 0 || s->at[0] == '\0' || strchr(any, s->at[0]) == NULL)
		return false;
	*s = span_behind(*s, 1);
	return true;
}

static struct span
take_fraction(struct span *s)
{
	struct span fraction = { s->at, 0 };

	while (s->len > 0 && ascii_is_digit(s->at[0])) {
		*s = span_behind(*s, 1);
		fraction.len++;
	}
	return fraction;
}

/* Takes "", "Z", "+01:00", "-0130" or "+01", with which the text ends. *east is
 * the seconds east of UTC. */
static bool
take_offset(struct span *s, int *east)
{
	int hours, minutes = 0;
	bool west;

	*east = 0;
	if (s->len == 0)
		return true;
	if (take_one_of(s, "Zz"))
		return s->len == 0;
	west = s->at[0] == '-';
	if (!take_one_of(s, "+-") || !take_digits(s, 2, &hours))
		return false;
	if (s->len > 0) {
		(void)take_one_of(s, ":");
		if (!take_digits(s, 2, &minutes))
			return false;
	}
	if (s->len > 0 || hours > 23 || minutes > 59)
		return false;
	*east = (hours * 60 + minutes) * 60 * (west ? -1 : 1);
	return true;
}

static bool
valid_day(int year, int month, int day)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31,
	    30, 31 };
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return month >= 1 && month <= 12 && day >= 1 &&
	    day <= days[month - 1] + (month == 2 && leap);
}

bool
timestamp_iso(struct timestamp *when, struct span s)
{
	struct tm tm = { 0 };
	struct span fraction = { NULL, 0 };
	int east;

	when->iso[0] = '\0';
	if (!take_digits(&s, 4, &tm.tm_year) || !take_one_of(&s, "-") ||
	    !take_digits(&s, 2, &tm.tm_mon) || !take_one_of(&s, "-") ||
	    !take_digits(&s, 2, &tm.tm_mday) || !take_one_of(&s, "Tt ") ||
	    !take_digits(&s, 2, &tm.tm_hour) || !take_one_of(&s, ":") ||
	    !take_digits(&s, 2, &tm.tm_min) || !take_one_of(&s, ":") ||
	    !take_digits(&s, 2, &tm.tm_sec))
		return false;
	if (take_one_of(&s, ".,") && (fraction = take_fraction(&s)).len == 0)
		return false;
	if (!take_offset(&s, &east) ||
	    !valid_day(tm.tm_year, tm.tm_mon, tm.tm_mday) ||
	    tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 59)
		return false;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	return timestamp_print(when, (int64_t)timegm(&tm) - east, fraction);
}

bool
timestamp_seconds(struct timestamp *when, struct span s)
{
	struct span fraction = { NULL, 0 };
	int64_t seconds;
	size_t i;

	when->iso[0] = '\0';
	if (!span_take_number(&s, LAST_SECOND, &seconds))
		return false;
	if (s.len > 0 && (!take_one_of(&s, ".") ||
	    (fraction = take_fraction(&s)).len == 0 || s.len > 0))
		return false;
	for (i = 0; i < fraction.len && fraction.at[i] == '0'; i++)
		;
	if (i == fraction.len)
		fraction.len = 0;
	return timestamp_print(when, seconds, fraction);
}

bool
timestamp_ms(struct timestamp *when, int64_t ms)
{
	char fraction[8];

	if (ms < 0) {
		when->iso[0] = '\0';
		return false;
	}
	snprintf(fraction, sizeof(fraction), "%03d", (int)(ms % 1000));
	return timestamp_print(when, ms / 1000, span_of(fraction));
}

bool
timestamp_read_ms(int64_t *ms, struct span s)
{
	struct timestamp when;
	struct tm tm = { 0 };
	const char *rest;

	*ms = 0;
	if (!timestamp_iso(&when, s) ||
	    (rest = strptime(when.iso, "%Y-%m-%dT%H:%M:%S", &tm)) == NULL)
		return false;
	*ms = (int64_t)timegm(&tm) * 1000;
	if (*rest == '.')
		for (int64_t unit = 100; unit > 0 && ascii_is_digit(*++rest);
		    unit /= 10)
			*ms += (*rest - '0') * unit;
	return true;
}

bool
timestamp_later(const struct timestamp *a, const struct timestamp *b)
{
	size_t alen = strlen(a->iso), blen = strlen(b->iso), len;
	int order;

	/* Compared without the Z, with which "05Z" would come after
	 * "05.1Z". */
	alen -= alen > 0;
	blen -= blen > 0;
	len = alen < blen ? alen : blen;
	order = memcmp(a->iso, b->iso, len);
	return order > 0 || (order == 0 && alen > blen);
}
