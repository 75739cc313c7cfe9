/* Leaves that do not change are packed: the slots of a heap that stays cost an eighth of a leaf then, or less.
 *
 * A word of the leaf that is not 0 is valid; where it is 0, the packed copy tells. No slot becomes 0 again by itself:
 * what is released leaves SLOT_FREED behind. */
#ifndef SOAK_PACKING_H
#define SOAK_PACKING_H

#include "memory.h"

/* The word of a slot of a leaf that may be packed; 0 where there is none. */
uint64_t packing_word(const uint64_t *slots, const struct counted *counted, uint32_t index) HIDDEN;

/* The 64 words of a leaf from `64 * group` on: where they are, or in `into`, with what is packed among them. */
const uint64_t *packing_group(const uint64_t *slots, const struct packed *packed, uint32_t group,
                              uint64_t into[PACKED_GROUP]) HIDDEN;

/* Prepares to pack leaves. Returns whether that is possible and allowed now. Then packing_end must follow. */
int packing_begin(void) HIDDEN;
void packing_end(void) HIDDEN;

/* Packs a leaf, if that saves at least half of it. Returns whether it did. Between packing_begin and packing_end. */
int packing_pack(uint64_t *slots, struct counted *counted) HIDDEN;

/* Halves the epochs of what is packed. */
void packing_halve_epochs(struct packed *packed) HIDDEN;

/* For a forked child: finishes what another thread of its parent was doing. */
void packing_go_on_in_child(void) HIDDEN;

/* Gives back what is reserved for further packed leaves. */
void packing_give_back(void) HIDDEN;

/* For tests: pack also what does not save memory. */
extern int packing_saves_nothing HIDDEN;

/* How often a leaf was packed. */
extern uint32_t packing_packed HIDDEN;

#endif
