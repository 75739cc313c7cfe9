/* Leaves that do not change are packed: the slots of a heap that stays cost an eighth of a leaf then, or less.
 *
 * A word of the leaf other than 0 is valid. For a 0, the packed copy has the word. No slot becomes 0 again by
 * itself: a release stores SLOT_FREED. */
#ifndef SOAK_PACKING_H
#define SOAK_PACKING_H

#include "memory.h"

/* The word of a slot of a leaf that may be packed; 0 if there is none. */
uint64_t packing_word(const uint64_t *slots, const struct counted *counted, uint32_t index) HIDDEN;

/* The 64 words of a leaf from `64 * group` on: in place, or copied to `into` together with the packed ones. */
const uint64_t *packing_group(const uint64_t *slots, const struct packed *packed, uint32_t group,
                              uint64_t into[PACKED_GROUP]) HIDDEN;

/* Prepares to pack leaves. Returns whether that is possible and allowed now. Then packing_end must follow. */
int packing_begin(void) HIDDEN;
void packing_end(void) HIDDEN;

/* Packs a leaf, if that saves at least half of it. Returns whether it did. Between packing_begin and packing_end. */
int packing_pack(uint64_t *slots, struct counted *counted) HIDDEN;

/* Which pages of a leaf hold a word. No other page is in use: the kernel provides none for memory that was only
 * read. */
struct pages {
    uint64_t filled[LEAF_PAGES / 64];
};

/* Looks at the 64 words of a leaf from `64 * group` on, unless another word of their page was seen. */
void packing_see_group(struct pages *pages, const uint64_t *slots, uint32_t group) HIDDEN;

/* Tells whether pages of the leaf were taken away, so that it matters which of them are in use again. */
int packing_has_emptied(const struct counted *counted) HIDDEN;

/* Keeps how many pages of those that were taken away are not in use again. */
void packing_keep_pages(struct counted *counted, const struct pages *pages) HIDDEN;

/* How many bytes less the resident memory of a leaf is than if it had never been packed; below 0 if it is more. */
int64_t packing_saved_bytes(const struct counted *counted) HIDDEN;

/* Halves the epochs of what is packed. */
void packing_halve_epochs(struct packed *packed) HIDDEN;

/* For a forked child: finishes the packing that another thread of its parent had begun. */
void packing_go_on_in_child(void) HIDDEN;

/* Gives back what is reserved for further packed leaves. */
void packing_give_back(void) HIDDEN;

/* For tests: also packs what does not save memory. */
extern int packing_saves_nothing HIDDEN;

/* How often a leaf was packed. */
extern uint32_t packing_packed HIDDEN;

#endif
