/* What the programs' command lines and environments have in common. */
#ifndef ARGS_H
#define ARGS_H

#include <getopt.h>
#include <stddef.h>

#define EXIT_USAGE	64	/* EX_USAGE of sysexits.h */

/* A setting by its option and, where there is one, its variable. `name` is
 * how messages call it; `id` is what getopt_long() returns. */
struct setting {
	int		 id;
	const char	*option;	/* without the dashes */
	const char	*variable;	/* or NULL */
	enum { SETTING_VALUE, SETTING_FLAG } kind;
};

/* Sets one: `name` is the option or the variable that the value came by, and
 * value is "" for a flag. */
typedef void	args_set(void *arg, int id, const char *name,
		    const char *value);

/* The program's name in messages. Once, before the rest. */
void	args_program(const char *name, const char *help);

/* Reads the options, then the environment for those that were not given: a
 * variable that an option overrules is not even judged. --help and --version
 * print and exit. Returns the index of the first operand. */
int	args_read(int argc, char *argv[], const struct setting *, size_t count,
	    args_set *, void *arg);

/* Says in a line what is wrong, and exits 64. */
void	args_usage(const char *format, ...)
	    __attribute__((format(printf, 1, 2), noreturn));

/* A number within limits, in base 10 or 8; args_usage() otherwise. */
unsigned long	args_number(const char *name, const char *value, int base,
		    unsigned long least, unsigned long most);

/* A variable, or NULL when it is unset or set to nothing. */
const char	*args_variable(const char *name);

/* Both strings in one that lives as long as the program. */
char		*args_join(const char *, const char *);

#endif
