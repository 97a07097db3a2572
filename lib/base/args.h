/* Command lines and environments: what all our programs do with them. */
#ifndef ARGS_H
#define ARGS_H

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXIT_USAGE	64	/* EX_USAGE of sysexits.h */

/* A setting: its option and, where there is one, its environment variable. The
 * program chooses `id`, by which args_set tells settings apart. */
struct setting {
	int		 id;
	const char	*option;	/* without the dashes */
	const char	*variable;	/* or NULL */
	enum {
		SETTING_VALUE,	/* has a value, which is not empty */
		SETTING_TEXT,	/* has a value, which may be empty */
		SETTING_FLAG	/* an option without a value */
	} kind;
};

/* The program's function that sets one: `name` is the option or the variable
 * that the value came from, for messages. The value of a flag is "". */
typedef void	args_set(void *arg, int id, const char *name,
		    const char *value);

/* Gives the program's name, for messages, and the text of --help. Once, before
 * the other functions. Both live as long as the program. */
void	args_program(const char *name, const char *help);

/* Reads the options, then the variables of the settings whose option was not
 * given: a variable that an option overrules may hold anything. --help and
 * --version print and exit. Returns the index of the first operand. */
int	args_read(int argc, char *argv[], const struct setting *, size_t count,
	    args_set *, void *arg);

/* Says in a line what is wrong, and exits 64. */
void	args_usage(const char *format, ...)
	    __attribute__((format(printf, 1, 2), noreturn));

/* Says in a line on standard error what does not work. */
void	args_error(const char *format, ...)
	    __attribute__((format(printf, 1, 2)));

/* A flag: true for "", as its option gives it, and for 1; false for 0;
 * args_usage() for any other value of its variable. */
bool	args_flag(const char *name, const char *value);

/* The value as a number from `least` to `most`, in base 10 or 8. Calls
 * args_usage() if it is none; `name` is for that message. */
unsigned long	args_number(const char *name, const char *value, int base,
		    unsigned long least, unsigned long most);

/* Whether somebody agrees: by --yes (`yes`), or by typing it after `question`
 * on a terminal. If not, it says `otherwise`, what did not happen. */
bool	args_confirm(bool yes, const char *question, const char *otherwise);

/* A time in ms since 1970: ISO 8601 (without a zone UTC, a date alone is its
 * first moment), or so long ago: 30m, 2h, 3d, 1w; args_usage() otherwise. */
int64_t		args_time(const char *name, const char *value);

/* A variable, or NULL when it is unset or set to nothing. */
const char	*args_variable(const char *name);

/* Where the database is if nothing is said: outbox.db, in the folder that
 * systemd keeps for the program ($STATE_DIRECTORY) or the working directory. */
const char	*args_default_db(void);

/* Both strings in one, which lives as long as the program. Exits without
 * memory. */
char		*args_join(const char *, const char *);

#endif
