/* Tells the service manager how things are: sd_notify() without its library. */
#ifndef NOTIFY_H
#define NOTIFY_H

#include <stdint.h>

/* Sends "READY=1", "STOPPING=1" or "WATCHDOG=1" to $NOTIFY_SOCKET; nothing
 * where nobody has asked for it (sd_notify(3)). */
void	notify(const char *state);

/* How often the manager wants to hear WATCHDOG=1, with room to spare (ms); 0
 * when it does not. */
int64_t	notify_watchdog(void);

#endif
