/* The mappings that the program made itself: an interval table of its own, never added to the bytes of blocks. */
#ifndef SOAK_MAPPINGS_H
#define SOAK_MAPPINGS_H

#include "recorder.h"

/* 0, or -1 when there is no memory for the table. */
int mappings_start(void);

/* [start, start + length) is now a mapping made by `site`; whatever was there before is replaced. */
void mappings_add(uintptr_t start, size_t length, uint32_t site, enum domain domain);

/* [start, start + length) is about to be unmapped; a part of a mapping may be. */
void mappings_remove(uintptr_t start, size_t length);

/* mremap in three steps: begin, the call, end. In between the table is held: what lies where the old mapping lay may be
 * someone else's as soon as the kernel has moved it, and must be added after the old one is removed. `end` takes what
 * `begin` returned; lengths of 0: nothing is removed, or the call has failed and nothing is added. */
int mappings_begin_move(void);
void mappings_end_move(int held, uintptr_t old, size_t old_length, uintptr_t start, size_t length, uint32_t site,
                       enum domain domain);

/* Adds a row for each mapping. */
void mappings_count(struct ledger_checkpoint *checkpoint, struct ledger_row *rows, uint32_t capacity);

/* Fills in where the table is. */
void mappings_places(struct tables *tables);

#endif
