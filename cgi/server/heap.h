/* How much memory the process keeps. */
#ifndef MEMORY_H
#define MEMORY_H

/* At the start, before any thread. */
void	memory_keep_small(void);

/* Something large was freed: what many hooks take at once would else stay with
 * the process for ever. */
void	memory_freed(void);

/* Now and then: gives back to the system what was freed since. */
void	memory_give_back(void);

#endif
