/* What the allocator keeps, and when the system gets it back. */
#ifndef MEMORY_H
#define MEMORY_H

/* Before anything is allocated. */
void	memory_keep_small(void);

/* After something large was freed: now and then, for it takes a while. */
void	memory_give_back(void);

#endif
