/* How many threads are at work at once: no more than there are processors, or
 * these would spend their time on switching between threads. The others step
 * in while one of them has to wait. */
#ifndef TURNS_H
#define TURNS_H

#include <pthread.h>
#include <stdbool.h>

struct turns {
	pthread_mutex_t	 lock;		/* guards all below */
	pthread_cond_t	 wanted;
	unsigned	 limit, taken;
	bool		 over;
};

/* A limit of 0 is the number of processors. */
void	turns_open(struct turns *, unsigned limit);
void	turns_close(struct turns *);

/* A thread takes a turn, at once: there may be one too many then, until one
 * of them asks turns_keep(). */
void	turns_take(struct turns *);

/* A thread leaves its turn to another one: it is done, or has to wait for a
 * disk or a peer and takes a turn again afterwards. */
void	turns_leave(struct turns *);

/* Who has one asks after each piece of work. Where there is one too many, it
 * waits until there is one too few. False: it is over. */
bool	turns_keep(struct turns *);
void	turns_end(struct turns *);

#endif
