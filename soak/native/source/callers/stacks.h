/* The stacks of allocations at flagged sites, and of openings. Native frames by the unwinder, Python's by frames.c. */
#ifndef SOAK_STACKS_H
#define SOAK_STACKS_H

#include "recorder/recorder.h"

/* Reserves memory and uses the unwinder once, because its first use allocates. Returns whether native stacks are
 * possible on this system. */
int stacks_start(void);

/* The site to record instead of the flagged `site`. Each distinct stack has one, so the ledger counts the live blocks
 * of each stack exactly. `site` itself when this allocation is not sampled or there is no room. `return_address`: in
 * the caller of the allocator; the native frames begin there. */
uint32_t stacks_site(uint32_t site, uintptr_t return_address);

/* The site of a call that opens a descriptor or starts a thread or process: its stack. It always has the Python frames;
 * of the native ones it has only the caller when this call is not sampled. The running line when there is no room. */
uint32_t stacks_opening(uintptr_t return_address);

/* The words of all stacks. A stack is native count | Python count << 32, then its frames, innermost first. */
const uint64_t *stacks_words(uint32_t *used);

/* Fills in the address of the stacks. */
void stacks_places(struct tables *tables);

#endif
