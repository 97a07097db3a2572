#include "server/heap.h"

#include <malloc.h>
#include <stdbool.h>

/* By default glibc makes up to eight arenas a core, and each keeps what its
 * threads have freed: a burst of large hooks would stay in all of them. */
#define ARENAS		8

/* A body of this size gets pages of its own, and free() gives them back. A
 * smaller one comes from an arena: pages that are asked for anew for each hook
 * of 200 KiB cost more than to read it. */
#define MMAP_BYTES	524288

#define TRIM_BYTES	4194304	/* free at an arena's end: given back */

void
heap_tune(void)
{
	(void)mallopt(M_ARENA_MAX, ARENAS);
	/* Small pieces are joined when they are freed, and not, all of them,
	 * whenever a large one is freed: that is with every hook. */
	(void)mallopt(M_MXFAST, 0);
	(void)mallopt(M_MMAP_THRESHOLD, MMAP_BYTES);
	(void)mallopt(M_TRIM_THRESHOLD, TRIM_BYTES);
}

static bool	freed_large;	/* atomic: since the last heap_trim() */

void
heap_note_large_free(void)
{
	__atomic_store_n(&freed_large, true, __ATOMIC_RELAXED);
}

void
heap_trim(void)
{
	if (__atomic_exchange_n(&freed_large, false, __ATOMIC_RELAXED))
		(void)malloc_trim(0);
}
