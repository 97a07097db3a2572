/* Standard output as a sink: one envelope a line. */
#ifndef PRINT_SINK_H
#define PRINT_SINK_H

#include "sink/sink.h"

/* Writes to `fd`, which stays open. NULL with the reason in `why`. */
struct sink	*print_sink_open(int fd, char why[SINK_WHY]);

#endif
