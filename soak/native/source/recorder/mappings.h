/* The mappings that the program made itself, in a table of address ranges. No total of blocks includes them. */
#ifndef SOAK_MAPPINGS_H
#define SOAK_MAPPINGS_H

#include "recorder.h"

/* Reserves the table. Returns 0, or -1 when there is no memory for it. */
int mappings_start(void);

/* Records that [start, start + length) is now a mapping made by `site`; it replaces what was there. */
void mappings_add(uintptr_t start, size_t length, uint32_t site, enum domain domain);

/* Records that [start, start + length), perhaps only a part of a mapping, is about to be unmapped. */
void mappings_remove(uintptr_t start, size_t length);

/* mremap in three steps: begin, the call, end. The table is locked in between. As soon as the kernel has moved the old
 * mapping, another thread may map the same addresses, and that mapping must be added after the old one is removed.
 * `end` takes what `begin` returned. `old_length` 0: nothing is removed. `length` 0: the call failed. */
int mappings_begin_move(void);
void mappings_end_move(int held, uintptr_t old, size_t old_length, uintptr_t start, size_t length, uint32_t site,
                       enum domain domain);

/* Adds a row for each mapping. */
void mappings_count(struct ledger_checkpoint *checkpoint, struct ledger_row *rows, uint32_t capacity);

/* For a forked child: gives back the lock when it belongs to a thread that is not in the child. */
void mappings_go_on_in_child(void);

/* Fills in the address of the table. */
void mappings_places(struct tables *tables);

#endif
