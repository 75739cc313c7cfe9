/* Where the slots are. There are two tables of leaves. One has a slot for each 32 bytes, for all blocks. The other
 * has a slot for each 16 bytes, for blocks of 16 bytes or less, which may begin 16 bytes apart. */
#ifndef SOAK_LEAVES_H
#define SOAK_LEAVES_H

#include "memory.h"

/* Relaxed, because a slot belongs to the owner of its block and readers only count. As cheap as plain ones. */
#define load(p) __atomic_load_n((p), __ATOMIC_RELAXED)
#define store(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)

/* A load, relaxed or with acquire, that can be part of another instruction: on x86-64 a plain load is as good. */
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
#define load_as_operand(p) (*(p))
#define load_acquire_as_operand(p) (*(p))
#else
#define load_as_operand(p) load(p)
#define load_acquire_as_operand(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#endif

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
    uintptr_t numbers[1u << PLACE_BITS];       /* 0: there are no slots yet; NO_LEAF: take the slow path */
    uint64_t *slots[1u << PLACE_BITS];         /* where the slot of address 0 would be: this saves a mask */
    uintptr_t owners[1u << PLACE_BITS];        /* the number of the leaf that a place is for; 0: free */
    struct counted *counted[1u << PLACE_BITS]; /* of that leaf; NULL while it is being made */
};

/* Both tables in one array, so that they are one range, at a fixed distance from the code. */
extern struct places leaves_places[2] HIDDEN;

/* With `has_begun` the caller knows that leaves_start has run. Then a leaf whose number is there has slots, and the
 * caller needs no second test. Before that, the number of NULL is that of a free place. */
static inline __attribute__((always_inline)) uint64_t *leaves_at_first_place(const struct places *places,
                                                                             uintptr_t number, int has_begun)
{
    uintptr_t at = number & PLACE_MASK;
    __asm__("" : "+r"(places)); /* otherwise each array is addressed on its own, by one more instruction */
    /* Never true for the address 0: see leaves_start. */
    int is_there = load_acquire_as_operand(&places->numbers[at]) == number;
    if (__builtin_expect(!is_there, 0))
        return NULL;
    __asm__ volatile("" : "+r"(at)); /* keeps the next load behind the test */
    uint64_t *slots = load_as_operand(&places->slots[at]);
    if (has_begun && !slots)
        __builtin_unreachable();
    return slots;
}

/* The leaf of an address, as the base of its slots; NULL if it is not at its first place, or there is none. */
static inline uint64_t *recorder_leaf(const void *address)
{
    return leaves_at_first_place(&leaves_places[0], (uintptr_t)address >> LEAF_BITS, 0);
}

static inline uint64_t *recorder_small_leaf(const void *address)
{
    return leaves_at_first_place(&leaves_places[1], (uintptr_t)address >> SMALL_LEAF_BITS, 0);
}

/* The same for a caller that knows that recording has begun. */
static inline uint64_t *recorder_leaf_since_start(const void *address)
{
    return leaves_at_first_place(&leaves_places[0], (uintptr_t)address >> LEAF_BITS, 1);
}

/* The slot of an address; NULL if no block near it was ever tracked. With `make`, the leaf is made; NULL then means
 * that there is no memory for it. */
uint64_t *leaves_slot(uintptr_t address, int make) HIDDEN;
uint64_t *leaves_small_slot(uintptr_t address, int make) HIDDEN;

/* The content of the slot of an address, packed or not; 0 if nothing is known. `*slot` is where it is, NULL if there
 * is no leaf. */
uint64_t leaves_read(uintptr_t address, uint64_t **slot) HIDDEN;
uint64_t leaves_small_read(uintptr_t address, uint64_t **slot) HIDDEN;

/* Tells whether anybody has looked for a slot of this leaf since the last call. The next one who does takes the slow
 * path once, and that is noted. So it costs an allocation nothing. A thread that looked before this call and stores
 * after it is not noticed. */
int leaves_were_touched(const struct leaf *leaf) HIDDEN;

/* Reserves the list of leaves. Returns 0, or -1 when there is no memory for it. */
int leaves_start(void) HIDDEN;

/* For a process that stops recording: no leaf is found any longer. Call it only while there is one thread. */
void leaves_forget(void) HIDDEN;

/* The leaves so far, in the order in which they were made. One that is being made has no slots yet. */
uint32_t leaves_count(void) HIDDEN;
const struct leaf *leaves_list(void) HIDDEN;

/* Gives back what is reserved for more leaves, and reserves as much as the present limits allow. */
void leaves_give_back(void) HIDDEN;

/* Reserves leaves for a gigabyte of heap, for a program in which no more can be reserved later. */
void leaves_reserve_ahead(void) HIDDEN;

/* Fills in the address of the list. */
void leaves_places_of(struct tables *tables) HIDDEN;

#endif
