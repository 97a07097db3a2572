#include "memory.h"

#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define ARENAS		8
#define MMAP_BYTES	524288
#define TRIM_BYTES	4194304
#define TRIM_MS		200	/* from one time to the next */

/* Few heaps for many threads, and large bodies outside of them: what these
 * take, the system gets back. What others take stays for the next one: to ask
 * for it anew costs more than to read a hook of 200 KiB. No lists of small
 * pieces that are joined only when a large one is freed: that is each time. */
void
memory_keep_small(void)
{
	(void)mallopt(M_ARENA_MAX, ARENAS);
	(void)mallopt(M_MXFAST, 0);
	(void)mallopt(M_MMAP_THRESHOLD, MMAP_BYTES);
	(void)mallopt(M_TRIM_THRESHOLD, TRIM_BYTES);
}

/* Else what many hooks took at once stays with the process for ever. */
void
memory_give_back(void)
{
	static int64_t last;		/* ms, monotonic; atomic */
	int64_t then = __atomic_load_n(&last, __ATOMIC_RELAXED), now;
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	now = (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
	if (now - then >= TRIM_MS && __atomic_compare_exchange_n(&last, &then,
	    now, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		(void)malloc_trim(0);
}
