/* In what two source events differ. */
#ifndef REPROCESS_COMPARE_H
#define REPROCESS_COMPARE_H

#include "store/reprocess.h"

/* Counts one more difference in the member `name`. Names beyond
 * REPROCESS_MEMBERS different ones are not counted. */
void		reprocess_count_member(struct reprocess_count *,
		    const char *name);

/* Counts each member, and each of the metadata, that one of the two events
 * has and the other has not, or has otherwise. FAULT_MEMORY, or FAULT_NONE. */
enum fault	reprocess_compare_events(struct reprocess_count *,
		    struct span old, struct span new)
		    __attribute__((warn_unused_result));

#endif
