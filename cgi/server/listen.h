/* The listening socket: one that we open, or one that was handed to us. */
#ifndef LISTEN_H
#define LISTEN_H

#include <stdbool.h>
#include <sys/types.h>

struct listener {
	int		 fd;
	bool		 inherited;	/* fd 0: never shut down or removed */
	const char	*path;		/* of our Unix socket, or NULL */
	dev_t		 dev;		/* by which that file is known again */
	ino_t		 ino;
};

/* Whether fd 0 is a socket that listens, as spawn-fcgi and systemd hand it
 * over; *l is that socket. */
bool	listen_inherited(struct listener *l);

#define LISTEN_WHY	256	/* bytes of a line that says why not */

/* Listens on a path or on HOST:PORT. At a path it makes a Unix socket of that
 * mode, in place of one that nobody serves any more; one that is served, or
 * any other file, is refused. 0, or -1 with `why`. `where` outlives the
 * listener. */
int	listen_open(struct listener *, const char *where, unsigned mode,
	    char why[LISTEN_WHY]) __attribute__((warn_unused_result));

/* Whether listen_open() could listen there: 0, or -1 with `why`. Leaves
 * nothing behind. */
int	listen_check(const char *where, char why[LISTEN_WHY]);

/* Whether `where` is a path, not HOST:PORT. */
bool	listen_is_path(const char *where);

/* The rights (07) that others than owner and group have on the path of a Unix
 * socket; 0 for other sockets. */
unsigned listen_others(const struct listener *);

/* Accepts a connection: its descriptor, or -1 with errno. *scarce: there are
 * fewer than `spare` descriptors left, or accept() failed for another reason:
 * the caller should wait a little before it accepts the next. */
int	listen_accept(const struct listener *, unsigned spare, bool *scarce);

/* Whether there are fewer than `spare` descriptors left. */
bool	listen_scarce(const struct listener *, unsigned spare);

/* Removes our Unix socket's path, so that nobody can connect any more, unless
 * another process has put its own socket there. Connections in the backlog can
 * still be accepted. */
void	listen_leave(struct listener *);

/* listen_leave(), and closes the socket. An inherited one is left as it is. */
void	listen_close(struct listener *);

#endif
