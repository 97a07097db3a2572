#include "sink/print_sink.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"

#define PRINT_ROOM_ROWS	1000	/* between two writes */

struct sink_print {
	struct sink	 sink;		/* first */
	int		 fd;
	struct row_list	 rows;		/* whose lines are not written yet */
	struct text	 lines;
};

static unsigned
print_sink_room(struct sink *sink)
{
	struct sink_print *p = (struct sink_print *)sink;

	return p->rows.first == NULL && sink->error[0] == '\0' ?
	    PRINT_ROOM_ROWS : 0;
}

static void
print_sink_give(struct sink *sink, struct row *rows)
{
	struct sink_print *p = (struct sink_print *)sink;
	struct row *r;

	while ((r = rows) != NULL) {
		rows = r->next;
		text_span(&p->lines, text_view(&r->envelope));
		text_str(&p->lines, "\n");
		row_list_add(&p->rows, r);
	}
}

static struct row *
print_sink_wait(struct sink *sink, int ms)
{
	struct sink_print *p = (struct sink_print *)sink;
	struct row *rows = p->rows.first;
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
	row_list_start(&p->rows);
	if (error != 0)
		snprintf(sink->error, sizeof(sink->error),
		    "standard output: %s", strerror(error));
	sink->failed = error != 0;
	for (struct row *r = rows; r != NULL; r = r->next)
		row_set_fate(r, error == 0 ? FATE_DELIVERED :
		    FATE_MISCONFIGURED, span_of(sink->error));
	return rows;
}

static void
print_sink_close(struct sink *sink)
{
	struct sink_print *p = (struct sink_print *)sink;

	row_free_all(p->rows.first);
	text_release(&p->lines);
	free(p);
}

static const struct sink_ops print_sink_ops = {
	.room = print_sink_room,
	.give = print_sink_give,
	.wait = print_sink_wait,
	.close = print_sink_close,
};

struct sink *
print_sink_open(int fd, char why[SINK_WHY])
{
	struct sink_print *p = calloc(1, sizeof(*p));

	if (p == NULL) {
		snprintf(why, SINK_WHY, "out of memory");
		return NULL;
	}
	p->sink.ops = &print_sink_ops;
	snprintf(p->sink.name, sizeof(p->sink.name), "stdout");
	p->fd = fd;
	row_list_start(&p->rows);
	return &p->sink;
}
