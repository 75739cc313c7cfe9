/* Copies of the process, as a reader wants them. */
#ifndef SOAK_SNAPSHOT_H
#define SOAK_SNAPSHOT_H

#include "recorder/recorder_hot.h"

extern struct copying snapshot_copying HIDDEN;

/* Makes the requested copy. Call it when the newest block is recorded: the content of a block that is not recorded
 * seems freed. One thread waits while the kernel copies page tables. */
void snapshot_make(void) HIDDEN;

static inline void snapshot_make_if_wanted(void)
{
    if (unlikely(load(&snapshot_copying.wanted) != load(&snapshot_copying.taken)))
        snapshot_make();
}

/* A request to the parent is not a request to its forked child. */
void snapshot_go_on_in_child(void) HIDDEN;

/* Fills in the address at which a reader asks for a copy. */
void snapshot_places(struct tables *tables) HIDDEN;

#endif
