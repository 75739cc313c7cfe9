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

/* Which pages of a leaf hold a word. No other page is in use: where memory was only read, the kernel gives none. */
struct pages {
    uint64_t filled[LEAF_PAGES / 64];
};

/* Looks at the 64 words of a leaf from `64 * group` on, unless another word of their page was seen. */
void packing_see_group(struct pages *pages, const uint64_t *slots, uint32_t group) HIDDEN;

/* Tells whether pages of the leaf were taken away, so that it matters which of them are in use again. */
int packing_has_emptied(const struct counted *counted) HIDDEN;

/* Keeps how many pages of those that were taken away are not in use again. */
void packing_keep_pages(struct counted *counted, const struct pages *pages) HIDDEN;

/* By so many bytes the resident memory of a leaf is less than if it had never been packed; below 0 where it is more. */
int64_t packing_saved_bytes(const struct counted *counted) HIDDEN;

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
