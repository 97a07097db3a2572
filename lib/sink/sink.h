/* Where rows leave: the interface that all sinks share. Each kind of sink is
 * in a file of its own: http_sink.c, nats_sink.c, print_sink.c. */
#ifndef SINK_H
#define SINK_H

#include "sink/row.h"

#define SINK_WHY	256	/* bytes of a reason, with its NUL */
#define SINK_NAME	160	/* bytes of a name, with its NUL */

struct sink;

/* Only one thread calls these, and none of them blocks for long but wait(). */
struct sink_ops {
	/* How many more rows the sink takes now; 0 while it is busy or cannot
	 * be reached. */
	unsigned	(*room)(struct sink *);
	/* The sink becomes the owner of a list of rows, and gives each of them
	 * back once, through wait(). */
	void		(*give)(struct sink *, struct row *);
	/* Sends and receives for up to `ms` milliseconds. Returns the rows that
	 * have their fate by then, in any order, or NULL. */
	struct row	*(*wait)(struct sink *, int ms);
	/* Ends at once. Rows that the sink still has are freed; in the outbox
	 * they stay pending. */
	void		(*close)(struct sink *);

	/* Only of a sink that says FATE_ACKED, else NULL.
	 * inspect() asks the server about its stream, and updates `last_seq`
	 * and `name` (another stream may have that place now). 0, or -1 when
	 * there is no answer.
	 * holds() asks whether the stream holds this event at this sequence:
	 * 1, 0, or -1 when there is no answer. */
	int		(*inspect)(struct sink *);
	int		(*holds)(struct sink *, uint64_t seq,
			    const char *event_id);
};

/* Every kind of sink begins with this. No text here holds a secret. */
struct sink {
	const struct sink_ops	*ops;
	char			 name[SINK_NAME];	/* for outbox.sink */
	uint64_t		 last_seq;	/* of the stream: inspect() */
	char			 error[SINK_WHY];	/* why it takes no row
							 * now; "": it does */
	bool			 failed;	/* it will never take one */
	/* What may be wrong with its settings, for the log at the start; or
	 * NULL. */
	const char		*warning;
};

#endif
