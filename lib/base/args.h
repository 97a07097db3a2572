/* Command lines and environments: what all our programs do with them. */
#ifndef ARGS_H
#define ARGS_H

#include <getopt.h>
#include <stddef.h>

#define EXIT_USAGE	64	/* EX_USAGE of sysexits.h */

/* A setting: its option and, where there is one, its environment variable. The
 * program chooses `id`, by which args_set tells settings apart. */
struct setting {
	int		 id;
	const char	*option;	/* without the dashes */
	const char	*variable;	/* or NULL */
	enum { SETTING_VALUE, SETTING_FLAG } kind;
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

/* The value as a number from `least` to `most`, in base 10 or 8. Calls
 * args_usage() if it is none; `name` is for that message. */
unsigned long	args_number(const char *name, const char *value, int base,
		    unsigned long least, unsigned long most);

/* A variable, or NULL when it is unset or set to nothing. */
const char	*args_variable(const char *name);

/* Both strings in one, which lives as long as the program. Exits without
 * memory. */
char		*args_join(const char *, const char *);

#endif
