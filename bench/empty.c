/* The limit that the worker is measured against: a libfcgi responder that
 * reads the body and answers at once, and keeps nothing. For the bench alone.
 *
 *	empty SOCKET THREADS
 */
#include <fcgiapp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define BACKLOG		4096
#define MAX_THREADS	1024

static int sock;

static void
read_body(FCGX_Request *r)
{
	const char *text = FCGX_GetParam("CONTENT_LENGTH", r->envp);
	long left = text == NULL ? 0 : atol(text);
	char buf[65536];

	while (left > 0) {
		int n = FCGX_GetStr(buf, left < (long)sizeof(buf) ?
		    (int)left : (int)sizeof(buf), r->in);

		if (n <= 0)
			return;
		left -= n;
	}
}

static void *
serve(void *arg)
{
	FCGX_Request r;

	FCGX_InitRequest(&r, sock, 0);
	while (FCGX_Accept_r(&r) == 0) {
		read_body(&r);
		FCGX_PutS("Status: 200 OK\r\n"
		    "Content-Type: application/json\r\n"
		    "Content-Length: 17\r\n"
		    "Cache-Control: no-store\r\n\r\n"
		    "{\"received\":true}", r.out);
		FCGX_Finish_r(&r);
	}
	return arg;
}

int
main(int argc, char **argv)
{
	pthread_t threads[MAX_THREADS];
	int i, n = argc == 3 ? atoi(argv[2]) : 0;

	if (n < 1 || n > MAX_THREADS) {
		fputs("usage: empty SOCKET THREADS\n", stderr);
		return 64;
	}
	FCGX_Init();
	signal(SIGTERM, SIG_DFL);	/* it has taken it, and would not end */
	sock = FCGX_OpenSocket(argv[1], BACKLOG);
	if (sock < 0)
		return 1;
	for (i = 0; i < n; i++)
		if (pthread_create(&threads[i], NULL, serve, NULL) != 0)
			return 1;
	for (i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	return 0;
}
