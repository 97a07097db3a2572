#include "server/serve.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "server/memory.h"
#include "base/sd_notify.h"
#include "server/threads.h"

#define WATCH_MS	1000	/* between looks at the threads */

void
serve_keep_descriptors(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
}

bool
serve_is_cgi(const char *socket)
{
	struct listener l;
	struct stat st;

	if (getenv("GATEWAY_INTERFACE") == NULL || listen_inherited(&l))
		return false;
	return socket == NULL || fstat(STDIN_FILENO, &st) != 0 ||
	    !S_ISSOCK(st.st_mode);
}

static sigset_t
wanted_signals(void)
{
	sigset_t wanted;

	sigemptyset(&wanted);
	sigaddset(&wanted, SIGTERM);
	sigaddset(&wanted, SIGINT);
	return wanted;
}

/* Blocked in all threads: main waits for them. */
void
serve_block_signals(void)
{
	sigset_t wanted = wanted_signals();

	signal(SIGPIPE, SIG_IGN);
	pthread_sigmask(SIG_BLOCK, &wanted, NULL);
}

/* Until a signal comes; meanwhile the service manager hears that all moves. */
static int
wait_for_signal(struct threads *t, const struct handler *h)
{
	sigset_t wanted = wanted_signals();
	int64_t every = sd_notify_watchdog_ms(), pinged = 0;
	int64_t step = every > 0 && every < WATCH_MS ? every : WATCH_MS;
	struct timespec ts = { .tv_sec = step / 1000,
	    .tv_nsec = step % 1000 * 1000000 };
	int sig;

	sd_notify_send("READY=1");
	for (int64_t at = step; (sig = sigtimedwait(&wanted, NULL, &ts)) < 0;
	    at += step) {
		threads_watch(t);
		memory_give_back();
		if (every <= 0 || at - pinged < every || !threads_move(t) ||
		    (h->moves != NULL && !h->moves(h->arg)))
			continue;
		pinged = at;
		sd_notify_send("WATCHDOG=1");
	}
	sd_notify_send("STOPPING=1");
	return sig;
}

int
serve_until_told(struct listener *l, unsigned count, const struct handler *h)
{
	struct threads *threads;

	if (threads_start(&threads, l, count, h) != 0)
		return -1;
	log_say("info", "stop", strsignal(wait_for_signal(threads, h)));
	/* Once nobody can find us any more, what waits is all there will
	 * be. */
	listen_leave(l);
	threads_stop(threads);
	listen_close(l);
	return 0;
}
