/* Where the slots are. There are two tables of leaves, each with a slot for so many bytes of addresses: one for all
 * blocks, and one for the blocks of 16 bytes or less, which may begin 16 bytes apart. */
#ifndef SOAK_LEAVES_H
#define SOAK_LEAVES_H

#include "memory.h"

/* Relaxed, because a slot belongs to the owner of its block and readers only count. As cheap as plain ones. */
#define load(p) __atomic_load_n((p), __ATOMIC_RELAXED)
#define store(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)

/* A block of more than SMALL_MOST bytes has its slot alone: two such blocks never begin within 32 bytes. */
#define SMALL_MOST 16
#define GRAIN_BITS 5
#define SMALL_GRAIN_BITS 4
#define LEAF_BITS (GRAIN_BITS + LEAF_SLOT_BITS)
#define SMALL_LEAF_BITS (SMALL_GRAIN_BITS + LEAF_SLOT_BITS)
#define PLACE_BITS 16
#define PLACE_MASK ((1u << PLACE_BITS) - 1)

#define NO_LEAF UINTPTR_MAX /* the number of no leaf, as 0 is that of NULL and of the addresses near it */

/* A leaf is at the place of its number (address >> LEAF_BITS) modulo the size of the table, or at another one. */
struct places {
    uintptr_t numbers[1u << PLACE_BITS]; /* 0: there are no slots yet; NO_LEAF: take the slow path */
    uint64_t *slots[1u << PLACE_BITS];   /* where the slot of address 0 would be: a slot is then found without a mask */
    uintptr_t owners[1u << PLACE_BITS];  /* the number of the leaf that a place is for; 0: free */
    struct counted *counted[1u << PLACE_BITS]; /* of that leaf; NULL while it is being made */
};

/* Both tables in one array: so they are one of the ranges, and at a fixed distance from the code. */
extern struct places leaves_places[2] HIDDEN;

/* A plain load there is as atomic, and a comparison can contain it. */
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
#define LEAVES_NUMBER(p) (*(p))
#else
#define LEAVES_NUMBER(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#endif

static inline uint64_t *leaves_at_first_place(const struct places *places, uintptr_t number)
{
    uintptr_t at = number & PLACE_MASK;
    __asm__("" : "+r"(places)); /* otherwise each array is addressed for itself, by one more instruction */
    int is_there = LEAVES_NUMBER(&places->numbers[at]) == number; /* never so for the address 0: leaves_start */
    return __builtin_expect(is_there, 1) ? load(&places->slots[at]) : NULL;
}

/* The leaf of an address, as the base of its slots; NULL where it is not at its first place, or there is none. */
static inline uint64_t *recorder_leaf(const void *address)
{
    return leaves_at_first_place(&leaves_places[0], (uintptr_t)address >> LEAF_BITS);
}

static inline uint64_t *recorder_small_leaf(const void *address)
{
    return leaves_at_first_place(&leaves_places[1], (uintptr_t)address >> SMALL_LEAF_BITS);
}

/* The slot of an address; NULL where no block near it was ever tracked. With `make`, the leaf is made: NULL then means
 * that there is no memory for it. */
uint64_t *leaves_slot(uintptr_t address, int make) HIDDEN;
uint64_t *leaves_small_slot(uintptr_t address, int make) HIDDEN;

/* What the slot of an address holds, also where its leaf is packed; 0 where nothing is known. `*slot` is where it is,
 * NULL where there is no leaf. */
uint64_t leaves_read(uintptr_t address, uint64_t **slot) HIDDEN;
uint64_t leaves_small_read(uintptr_t address, uint64_t **slot) HIDDEN;

/* Tells whether anybody has looked for a slot of this leaf since the last call for it, and has the next one who does so
 * take the slow path once: there that is noted. So it costs an allocation nothing. A thread that looked before and
 * stores after is not noticed. */
int leaves_were_touched(const struct leaf *leaf) HIDDEN;

/* Reserves the list of leaves. Returns 0, or -1 when there is no memory for it. */
int leaves_start(void) HIDDEN;

/* For a process that records no more: no leaf is found any longer. Only while there is one thread. */
void leaves_forget(void) HIDDEN;

/* The leaves so far, in the order in which they were made. One that is being made has no slots yet. */
uint32_t leaves_count(void) HIDDEN;
const struct leaf *leaves_list(void) HIDDEN;

/* Gives back what is reserved for more leaves, and reserves as much in advance as the limits of now allow. */
void leaves_give_back(void) HIDDEN;

/* Reserves leaves for a gigabyte of heap, for a program in which no more can be reserved later. */
void leaves_reserve_ahead(void) HIDDEN;

/* Fills in the address of the list. */
void leaves_places_of(struct tables *tables) HIDDEN;

#endif
