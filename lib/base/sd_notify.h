/* Tells the service manager how things are: sd_notify() without its library. */
#ifndef SD_NOTIFY_H
#define SD_NOTIFY_H

#include <stdint.h>

/* Sends "READY=1", "STOPPING=1" or "WATCHDOG=1" to $NOTIFY_SOCKET; nothing
 * where nobody has asked for it (sd_notify(3)). */
void	sd_notify_send(const char *state);

/* How often the manager wants to hear WATCHDOG=1, with room to spare (ms); 0
 * when it does not. */
int64_t	sd_notify_watchdog_ms(void);

#endif
