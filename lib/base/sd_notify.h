/* Notifies the service manager: sd_notify(3), without libsystemd. */
#ifndef SD_NOTIFY_H
#define SD_NOTIFY_H

#include <stdint.h>

/* Sends "READY=1", "STOPPING=1" or "WATCHDOG=1" to $NOTIFY_SOCKET. Does nothing
 * if that is not set. */
void	sd_notify_send(const char *state);

/* After how many ms to send WATCHDOG=1 again: a third of the time after which
 * the manager would restart the service. 0 if it has no watchdog for us. */
int64_t	sd_notify_watchdog_ms(void);

#endif
