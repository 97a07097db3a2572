/* What a run of delivery does at its times, besides delivering. */
#ifndef DELIVER_UPKEEP_H
#define DELIVER_UPKEEP_H

#include "deliver/deliver_state.h"

/* Once a second: tells systemd that the process lives; looks whether the
 * database's files are still the same; confirms acknowledged rows; empties the
 * database's log. */
void	deliver_upkeep_check(struct deliver *);

/* Deletes a few of the delivered rows and hooks that are older than keep_ms.
 * True when there is nothing left to delete for now. */
bool	deliver_upkeep_prune(struct deliver *);

/* Writes the file of metrics, if one is configured. */
void	deliver_upkeep_write_metrics(struct deliver *);

#endif
