/* Copies of the process, as a reader wants them. */
#ifndef SOAK_SNAPSHOT_H
#define SOAK_SNAPSHOT_H

#include "recorder/recorder_hot.h"

extern struct copying snapshot_copying HIDDEN;

/* Makes the copy that is wanted. To be called when the newest block is recorded: what stands in a block that is not
 * seems freed. One thread waits meanwhile, for as long as the kernel copies page tables. */
void snapshot_make(void) HIDDEN;

static inline void snapshot_make_if_wanted(void)
{
    if (unlikely(load(&snapshot_copying.wanted) != load(&snapshot_copying.taken)))
        snapshot_make();
}

/* What was wanted of the parent is not wanted of its forked child. */
void snapshot_go_on_in_child(void) HIDDEN;

/* Fills in where the reader says that it wants a copy. */
void snapshot_places(struct tables *tables) HIDDEN;

#endif
