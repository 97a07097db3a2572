#include "base/args.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/ascii.h"
#include "base/clock.h"
#include "base/timestamp.h"

#define SETTINGS_MAX	32	/* of a program */
#define WORD_SHOWN	47	/* bytes of a word of the command line */
#define DURATION_DIGITS	6
#define TIME_SIZE	64	/* bytes of a time on the command line */

enum { ARGS_HELP = 1000, ARGS_VERSION };

static const char *program, *help;

void
args_program(const char *name, const char *text)
{
	program = name;
	help = text;
}

void
args_usage(const char *format, ...)
{
	va_list ap;

	fprintf(stderr, "%s: ", program);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fputs(" (--help says more)\n", stderr);
	exit(EXIT_USAGE);
}

void
args_error(const char *format, ...)
{
	va_list ap;

	fprintf(stderr, "%s: ", program);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fputs("\n", stderr);
}

bool
args_flag(const char *name, const char *s)
{
	if (*s != '\0' && strcmp(s, "0") != 0 && strcmp(s, "1") != 0)
		args_usage("%s wants 1 or 0", name);
	return *s != '0';
}

/* The value is not repeated: it may hold anything. */
unsigned long
args_number(const char *name, const char *s, int base, unsigned long least,
    unsigned long most)
{
	unsigned long n;
	char *end;

	errno = 0;
	n = strtoul(s, &end, base);
	if (!ascii_is_digit(*s) || *end != '\0' || errno != 0 || n < least ||
	    n > most) {
		if (base == 8)
			args_usage("%s wants an octal mode up to %lo", name,
			    most);
		args_usage("%s wants a number from %lu to %lu", name, least,
		    most);
	}
	return n;
}

bool
args_confirm(bool yes, const char *question, const char *otherwise)
{
	char line[16] = "";

	if (yes)
		return true;
	if (!isatty(STDIN_FILENO)) {
		args_error("%s: say --yes", otherwise);
		return false;
	}
	printf("%s Type yes: ", question);
	fflush(stdout);
	if (fgets(line, sizeof(line), stdin) != NULL &&
	    strcmp(line, "yes\n") == 0)
		return true;
	args_error("%s", otherwise);
	return false;
}

/* "30m", "2h", "3d", "1w": in ms; 0 for anything else. */
static int64_t
args_read_duration(const char *s)
{
	static const struct { char unit; int64_t ms; } units[] = {
		{ 's', 1000 }, { 'm', 60000 }, { 'h', 3600000 },
		{ 'd', 86400000 }, { 'w', 604800000 },
	};
	size_t digits = strspn(s, "0123456789");

	if (digits == 0 || digits > DURATION_DIGITS || s[digits] == '\0' ||
	    s[digits + 1] != '\0')
		return 0;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (units[i].unit == s[digits])
			return strtol(s, NULL, 10) * units[i].ms;
	return 0;
}

/* A date alone, or without seconds, as timestamp_iso() wants it; in ms. False:
 * it is no time. */
static bool
args_read_time(const char *s, int64_t *ms)
{
	char whole[TIME_SIZE];
	size_t len = strlen(s);

	if (len == strlen("2026-01-10"))
		snprintf(whole, sizeof(whole), "%sT00:00:00", s);
	else if (len >= strlen("2026-01-10T20:56") && s[16] != ':')
		snprintf(whole, sizeof(whole), "%.16s:00%s", s, s + 16);
	else
		snprintf(whole, sizeof(whole), "%s", s);
	return len < sizeof(whole) - strlen(":00") &&
	    timestamp_read_ms(ms, span_of(whole));
}

int64_t
args_time(const char *name, const char *s)
{
	int64_t ms = args_read_duration(s);

	if (ms > 0)
		return clock_wall_ms() - ms;
	if (!args_read_time(s, &ms) || ms <= 0)
		args_usage("%s wants a time such as 2026-01-10T20:56:00Z, "
		    "2026-01-10, or 2h or 3d for so long ago", name);
	return ms;
}

const char *
args_variable(const char *name)
{
	const char *s = getenv(name);

	return s == NULL || *s == '\0' ? NULL : s;
}

char *
args_join(const char *a, const char *b)
{
	size_t n = strlen(a) + strlen(b) + 1;
	char *s = malloc(n);

	if (s == NULL) {
		args_error("out of memory");
		exit(1);
	}
	snprintf(s, n, "%s%s", a, b);
	return s;
}

const char *
args_default_db(void)
{
	const char *folder = args_variable("STATE_DIRECTORY");

	return folder == NULL ? "outbox.db" : args_join(folder, "/outbox.db");
}

/* A word of the command line, fit for a message of one line. The value behind
 * its `=' is left out: it may be a secret. The result is valid until the next
 * call. */
static const char *
printable_word(const char *s)
{
	static char buf[WORD_SHOWN + 1];
	size_t i;

	for (i = 0; s[i] != '\0' && s[i] != '=' && i < sizeof(buf) - 1; i++)
		buf[i] = s[i] > 0x20 && s[i] < 0x7f ? s[i] : '?';
	buf[i] = '\0';
	return buf;
}

static void
tell_help(void)
{
	fputs(help, stdout);
	exit(0);
}

static void
tell_version(void)
{
	printf("%s " PACKAGE_VERSION "\n", program);
	exit(0);
}

/* --help works whatever else the command line holds. */
static void
help_wins_over_rest(int argc, char *argv[])
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--help") == 0)
			tell_help();
}

/* The word that getopt_long() has just refused. That is the last one that it
 * has read; but of a cluster (-yn) it has read a character, and not yet the
 * word. */
static const char *
refused_word(int argc, char *const argv[])
{
	bool cluster = optind < argc && argv[optind][0] == '-' &&
	    argv[optind][1] != '\0' && argv[optind][1] == optopt;

	return printable_word(argv[cluster ? optind : optind - 1]);
}

/* Sets given[i] for each option that is there, settings[i] and longs[i]. */
static void
args_read_options(int argc, char *argv[], const struct setting *settings,
    const struct option *longs, bool *given, args_set *set, void *arg)
{
	const char *name;
	int c, index = 0;

	opterr = 0;
	while ((c = getopt_long(argc, argv, ":", longs, &index)) != -1) {
		if (c == ':')
			args_usage("%s wants a value",
			    printable_word(argv[optind - 1]));
		if (c == '?')
			args_usage("`%s' is no option, or takes no value",
			    refused_word(argc, argv));
		if (c == ARGS_HELP)
			tell_help();
		if (c == ARGS_VERSION)
			tell_version();
		given[index] = true;
		name = argv[optind - 1] == optarg ? argv[optind - 2] :
		    printable_word(argv[optind - 1]);
		if (optarg != NULL && *optarg == '\0' &&
		    settings[index].kind == SETTING_VALUE)
			args_usage("%s wants a value", name);
		set(arg, c, name, optarg == NULL ? "" : optarg);
	}
}

/* For the settings whose option was not given. */
static void
args_read_variables(const struct setting *settings, size_t count,
    const bool *given, args_set *set, void *arg)
{
	for (size_t i = 0; i < count; i++) {
		const struct setting *s = &settings[i];
		const char *value = s->variable == NULL || given[i] ? NULL :
		    args_variable(s->variable);

		if (value != NULL)
			set(arg, s->id, s->variable, value);
	}
}

int
args_read(int argc, char *argv[], const struct setting *settings,
    size_t count, args_set *set, void *arg)
{
	struct option longs[SETTINGS_MAX + 3] = { { NULL, 0, NULL, 0 } };
	bool given[SETTINGS_MAX + 2] = { false };

	assert(count <= SETTINGS_MAX);
	help_wins_over_rest(argc, argv);
	for (size_t i = 0; i < count; i++)
		longs[i] = (struct option){ settings[i].option,
		    settings[i].kind == SETTING_FLAG ? no_argument :
		    required_argument, NULL, settings[i].id };
	longs[count] = (struct option){ "help", no_argument, NULL,
	    ARGS_HELP };
	longs[count + 1] = (struct option){ "version", no_argument, NULL,
	    ARGS_VERSION };
	args_read_options(argc, argv, settings, longs, given, set, arg);
	args_read_variables(settings, count, given, set, arg);
	return optind;
}
