/* The socket that the worker serves: its own, or one that it was handed. */
#ifndef LISTEN_H
#define LISTEN_H

#include <stdbool.h>
#include <sys/types.h>

struct listener {
	int		 fd;
	bool		 inherited;	/* not ours to shut down or remove */
	const char	*path;		/* our Unix socket, NULL for others */
	dev_t		 dev;		/* the file that it is */
	ino_t		 ino;
};

/* True when fd 0 is a socket that listens (spawn-fcgi, systemd). */
bool	listen_inherited(struct listener *);

/* Listens on a path (a Unix socket of that mode; a stale one is replaced, a
 * live one and any other file refused) or on HOST:PORT. 0, or -1 with `why`
 * in a line. `where` outlives the listener. */
#define LISTEN_WHY	256
int	listen_open(struct listener *, const char *where, unsigned mode,
	    char why[LISTEN_WHY]) __attribute__((warn_unused_result));

/* Whether listen_open() would find the place free; leaves nothing behind. */
int	listen_check(const char *where, char why[LISTEN_WHY]);

/* Whether `where` is a path, not HOST:PORT. */
bool	listen_is_path(const char *where);

/* The rights (07) that others than owner and group have on the path of a Unix
 * socket; 0 for other sockets. */
unsigned listen_others(const struct listener *);

/* Accepts a connection: a descriptor, or -1 with errno. *scarce: there are
 * fewer than `spare` left, or none: a rest before the next. */
int	listen_accept(const struct listener *, unsigned spare, bool *scarce);

/* Whether there are fewer than `spare` descriptors left. */
bool	listen_scarce(const struct listener *, unsigned spare);

/* Removes our Unix socket's path, unless somebody else's socket stands there
 * by now: nobody new finds us. What is connected can still be accepted. */
void	listen_leave(struct listener *);

/* The same, and closes it; an inherited socket stays as it is. */
void	listen_close(struct listener *);

#endif
