#include "sink/sink.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"

#define PRINT_ROOM	1000	/* rows between two writes */

/* Standard output: an envelope a line. */
struct sink_print {
	struct sink	 sink;		/* first */
	int		 fd;
	struct row	*rows, **tail;
	struct text	 lines;
};

static unsigned
print_room(struct sink *sink)
{
	struct sink_print *p = (struct sink_print *)sink;

	return p->rows == NULL && sink->trouble[0] == '\0' ? PRINT_ROOM : 0;
}

static void
print_give(struct sink *sink, struct row *rows)
{
	struct sink_print *p = (struct sink_print *)sink;

	*p->tail = rows;
	for (; *p->tail != NULL; p->tail = &(*p->tail)->next) {
		text_span(&p->lines, text_view(&(*p->tail)->envelope));
		text_str(&p->lines, "\n");
	}
}

static struct row *
print_wait(struct sink *sink, int ms)
{
	struct sink_print *p = (struct sink_print *)sink;
	struct row *rows = p->rows, *r;
	int error = 0;

	if (rows == NULL) {
		(void)poll(NULL, 0, ms);
		return NULL;
	}
	if (p->lines.broken)
		error = ENOMEM;
	else if (!file_write(p->fd, text_view(&p->lines)))
		error = errno;
	p->lines.len = 0;
	p->rows = NULL;
	p->tail = &p->rows;
	if (error != 0)
		snprintf(sink->trouble, sizeof(sink->trouble),
		    "standard output: %s", strerror(error));
	sink->over = error != 0;
	for (r = rows; r != NULL; r = r->next)
		row_set_fate(r,
		    error == 0 ? FATE_DELIVERED : FATE_MISCONFIGURED,
		    span_of(sink->trouble));
	return rows;
}

static void
print_close(struct sink *sink)
{
	struct sink_print *p = (struct sink_print *)sink;

	row_free_all(p->rows);
	text_release(&p->lines);
	free(p);
}

static const struct sink_ops print_ops = {
	.room = print_room,
	.give = print_give,
	.wait = print_wait,
	.close = print_close,
};

struct sink *
print_sink_open(int fd, char why[SINK_WHY])
{
	struct sink_print *p = calloc(1, sizeof(*p));

	if (p == NULL) {
		snprintf(why, SINK_WHY, "out of memory");
		return NULL;
	}
	p->sink.ops = &print_ops;
	snprintf(p->sink.name, sizeof(p->sink.name), "stdout");
	p->fd = fd;
	p->tail = &p->rows;
	return &p->sink;
}
