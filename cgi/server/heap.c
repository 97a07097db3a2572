#include "server/memory.h"

#include <malloc.h>
#include <stdbool.h>

#define ARENAS		8
#define MMAP_BYTES	524288
#define TRIM_BYTES	4194304

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

/* Atomic: something large was freed since the last time. */
static bool	freed;

void
memory_freed(void)
{
	__atomic_store_n(&freed, true, __ATOMIC_RELAXED);
}

void
memory_give_back(void)
{
	if (__atomic_exchange_n(&freed, false, __ATOMIC_RELAXED))
		(void)malloc_trim(0);
}
