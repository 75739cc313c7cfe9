/* Stacks of allocations at flagged sites, and of openings: native frames by the unwinder, Python frames by frames.c. */
#ifndef SOAK_STACKS_H
#define SOAK_STACKS_H

#include "recorder/recorder.h"

/* Makes room and warms the unwinder up. Returns whether native stacks can be had here. */
int stacks_start(void);

/* The site to record instead of the flagged `site`: one for each distinct stack, so that the ledger counts the live
 * blocks of every stack exactly. `site` itself when this allocation is not sampled or there is no room.
 * `return_address`: of the allocator's caller, where the native part begins. */
uint32_t stacks_site(uint32_t site, uintptr_t return_address);

/* The site of what opens a descriptor or starts a thread or process: its stack, with the Python frames in any case and
 * the native ones beyond the caller where this call is sampled. The caller's line alone when there is no room. */
uint32_t stacks_opening(uintptr_t return_address);

/* The words of all stacks; each begins with native count | Python count << 32, then the frames, innermost first. */
const uint64_t *stacks_words(uint32_t *used);

/* Fills in where the stacks are. */
void stacks_places(struct tables *tables);

#endif
