/* How much freed memory the process keeps: glibc's malloc, tuned. */
#ifndef HEAP_H
#define HEAP_H

/* Tunes malloc. At the start of the program, before any thread. */
void	heap_tune(void);

/* Notes that a large body was freed: heap_trim() has something to do. */
void	heap_note_large_free(void);

/* Gives freed memory back to the system if a large body was freed since the
 * last call. To be called every second or so. */
void	heap_trim(void);

#endif
