/* The lock file beside the database: commits and checkpoints kept apart. */
#ifndef GATE_H
#define GATE_H

#include <stdbool.h>

/* SQLite 3.7.0 to 3.51.2 can lose a commit that one connection makes in the
 * instant of another's checkpoint. Between our own processes this lock keeps
 * the two apart: shared to write, exclusive to checkpoint. Nobody ever waits
 * for it, and nobody holds it longer than one of these takes. */
enum gate { GATE_WRITE, GATE_CHECKPOINT };

/* Opens PATH-lock: a descriptor, to be closed, or -1 with errno. While an
 * owner has it open nobody else should checkpoint. */
int	gate_open(const char *path, bool owner);

/* For an owner, now and then: somebody may have stood in while it opened. */
void	gate_own(int gate);

bool	gate_take(int gate, enum gate);		/* false: not now */
void	gate_leave(int gate);

/* For others than owners, before a checkpoint: false while an owner lives. */
bool	gate_stand_in(int gate);
void	gate_stand_back(int gate);

#endif
