#include "base/timestamp.h"
#include "../support/tap.h"

/* NULL: it is no date. */
static const struct {
	const char	*in, *out;
} dates[] = {
	{ "2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z" },
	{ "2026-01-02T03:04:05.678000+00:00", "2026-01-02T03:04:05.678000Z" },
	{ "2026-01-02T03:04:05-00:00", "2026-01-02T03:04:05Z" },
	{ "2026-01-02T03:04:05.5+05:30", "2026-01-01T21:34:05.5Z" },
	{ "2026-01-02T23:04:05-0130", "2026-01-03T00:34:05Z" },
	{ "2026-01-02T03:04:05+02", "2026-01-02T01:04:05Z" },
	{ "2026-01-02 03:04:05", "2026-01-02T03:04:05Z" },
	{ "2026-01-02t03:04:05z", "2026-01-02T03:04:05Z" },
	{ "2024-02-29T00:00:00Z", "2024-02-29T00:00:00Z" },
	{ "2000-02-29T00:00:00Z", "2000-02-29T00:00:00Z" },
	{ "1969-12-31T23:59:59.25Z", "1969-12-31T23:59:59.25Z" },
	{ "9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z" },
	{ "9999-12-31T23:59:59-01:00", NULL },
	{ "2023-02-29T00:00:00Z", NULL },
	{ "1900-02-29T00:00:00Z", NULL },
	{ "2026-13-02T03:04:05Z", NULL },
	{ "2026-00-02T03:04:05Z", NULL },
	{ "2026-01-32T03:04:05Z", NULL },
	{ "2026-01-02T24:04:05Z", NULL },
	{ "2026-01-02T03:60:05Z", NULL },
	{ "2026-01-02T03:04:60Z", NULL },
	{ "2026-01-02T03:04:05.Z", NULL },
	{ "2026-01-02T03:04:05Zx", NULL },
	{ "2026-01-02T03:04:05+24:00", NULL },
	{ "2026-01-02T03:04:05+1:00", NULL },
	{ "2026-01-02T03:04", NULL },
	{ "2026-01-02", NULL },
	{ "26-01-02T03:04:05Z", NULL },
	{ " 2026-01-02T03:04:05Z", NULL },
	{ "yesterday", NULL },
	{ "", NULL },
}, seconds[] = {
	{ "0", "1970-01-01T00:00:00Z" },
	{ "1566248317", "2019-08-19T20:58:37Z" },
	{ "1566248317.391", "2019-08-19T20:58:37.391Z" },
	{ "1566248317.0", "2019-08-19T20:58:37Z" },
	{ "1566248317.10", "2019-08-19T20:58:37.10Z" },
	{ "253402300799", "9999-12-31T23:59:59Z" },
	{ "253402300800", NULL },
	{ "99999999999999999999999", NULL },
	{ "-1", NULL },
	{ "1.", NULL },
	{ ".5", NULL },
	{ "1e9", NULL },
	{ "12 ", NULL },
	{ "", NULL },
};

static void
convert(bool (*how)(struct timestamp *, struct span), const char *in,
    const char *out, const char *says)
{
	struct timestamp m;
	bool is = how(&m, span_of(in));

	ok(out == NULL ? !is && m.iso[0] == '\0' :
	    is && strcmp(m.iso, out) == 0, "%s \"%s\" %s %s", says, in,
	    out == NULL ? "is" : "becomes", out == NULL ? "none" : out);
}

static void
later(const char *a, const char *b, bool is)
{
	struct timestamp ma, mb;

	(void)timestamp_iso(&ma, span_of(a));
	(void)timestamp_iso(&mb, span_of(b));
	ok(timestamp_later(&ma, &mb) == is, "\"%s\" is %slater than \"%s\"", a,
	    is ? "" : "not ", b);
}

static const struct {
	const char	*in;
	int64_t		ms;
} times[] = {
	{ "2026-01-10T20:56:00Z", 1768078560000 },
	{ "2026-01-10T20:56:00.679000+00:00", 1768078560679 },
	{ "2026-01-10 20:56:00.1", 1768078560100 },
	{ "2026-01-10T21:56:00.6789+01:00", 1768078560678 },
	{ "2026-01-10T20:56:00.05Z", 1768078560050 },
	{ "1970-01-01T00:00:00Z", 0 }, { "1969-12-31T23:59:59Z", -1000 },
};

int
main(void)
{
	struct timestamp m;
	int64_t ms;

	for (size_t i = 0; i < sizeof(dates) / sizeof(dates[0]); i++)
		convert(timestamp_iso, dates[i].in, dates[i].out, "the date");
	for (size_t i = 0; i < sizeof(seconds) / sizeof(seconds[0]); i++)
		convert(timestamp_seconds, seconds[i].in, seconds[i].out,
		    "the seconds");
	ok(timestamp_ms(&m, 1767225600007) &&
	    strcmp(m.iso, "2026-01-01T00:00:00.007Z") == 0,
	    "milliseconds have three digits");
	ok(!timestamp_ms(&m, -1), "there is no time before 1970 in ms");
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
		ok(timestamp_read_ms(&ms, span_of(times[i].in)) &&
		    ms == times[i].ms, "%s has its milliseconds", times[i].in);
	ok(!timestamp_read_ms(&ms, span_of("yesterday")) && ms == 0,
	    "what is no date has none");
	later("2026-01-01T00:00:01Z", "2026-01-01T00:00:00Z", true);
	later("2026-01-01T00:00:00.1Z", "2026-01-01T00:00:00Z", true);
	later("2026-01-01T00:00:00Z", "2026-01-01T00:00:00.1Z", false);
	later("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z", false);
	later("2026-01-01T00:00:00Z", "", true);
	later("", "2026-01-01T00:00:00Z", false);
	return tap_done();
}
