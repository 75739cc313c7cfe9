/* The part of the recorder that every allocation and release passes through: inline, without calls. */
#ifndef SOAK_RECORDER_HOT_H
#define SOAK_RECORDER_HOT_H

#include "leaves.h"
#include "recorder.h"

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#if defined(__aarch64__)
#define CODE_ALIGNMENT_BITS 2 /* makes the address of an instruction fit beside a site */
#else
#define CODE_ALIGNMENT_BITS 0
#endif

#define RECORDER_CACHE_BITS 13

/* A slot without these bits is not the slot of a block: the block is released, or this is the size of a big block. */
#define RECORDER_BLOCK_BITS (SITE_MASK | CODE_BIT)

/* Return address and site, in one word so that no reader sees half of an entry. */
extern uint64_t recorder_native_cache[1u << RECORDER_CACHE_BITS] HIDDEN;

static inline uint64_t *recorder_cache_place(uintptr_t return_address)
{
    return &recorder_native_cache[(return_address >> CODE_ALIGNMENT_BITS) & ((1u << RECORDER_CACHE_BITS) - 1)];
}

static inline uint64_t recorder_cache_tag(uintptr_t return_address)
{
    return (uint64_t)(return_address >> CODE_ALIGNMENT_BITS) << SITE_BITS;
}

/* The current epoch, where it stands in a slot. The mask is in memory: as a constant it takes one more instruction. */
static inline uint64_t recorder_epoch_bits(void)
{
    return load(&recorder_control.cycle) * load_as_operand(&recorder_control.scale)
           & load_as_operand(&recorder_control.epoch_bits);
}

/* The size of a block, and the half of its 32 bytes in which it begins, where they stand in a slot: blocks begin 16
 * bytes apart, and a slot covers 32. */
static inline uint64_t recorder_size_bits(const void *address, size_t size)
{
    uint64_t halves = size;
#if defined(__x86_64__)
    __asm__("bt %2, %1\n\tadc %0, %0" : "+r"(halves) : "r"(address), "i"(SMALL_GRAIN_BITS) : "cc");
#else
    halves = halves << 1 | ((uintptr_t)address >> SMALL_GRAIN_BITS & 1);
#endif
    return halves << HALF_SHIFT;
}

static inline uint64_t recorder_slot(const void *address, size_t size, uint32_t site, enum domain domain)
{
    /* Sums, because the processor adds three numbers at once. No bit is in two of them. */
    return recorder_epoch_bits() + (recorder_size_bits(address, size) + ((uint64_t)domain << DOMAIN_SHIFT) + site);
}

/* The slot of a block that another object takes over now. */
static inline uint64_t recorder_slot_of_heir(uint64_t slot, uint32_t site)
{
    return (slot & ((1ull << EPOCH_SHIFT) - 1) & ~(uint64_t)SITE_MASK) | recorder_epoch_bits() | site;
}

/* The site of a return address, perhaps with SITE_WANTS_STACK. Flagged sites are never in the cache, so the check costs
 * nothing at all other sites. */
static inline uint32_t recorder_native_site(uintptr_t return_address)
{
    uint64_t site = recorder_cache_tag(return_address) ^ load_as_operand(recorder_cache_place(return_address));
    return likely(site < SITE_LIMIT && site) ? (uint32_t)site : recorder_native_site_slowly(return_address);
}

/* Whether this thread's allocations are recorded now. */
static inline int recorder_is_on(void)
{
    return recorder_births != RECORDER_INSIDE && load(&recorder_control.recording);
}

/* Whether a block has its slot in the table of all blocks, and its size in the slot. */
static inline int recorder_is_common(size_t size)
{
    return size - (SMALL_MOST + 1) < SIZE_LIMIT - (SMALL_MOST + 1);
}

/* The counter belongs to one thread. This is one instruction; a relaxed load and store would be three. */
static inline void recorder_increment(uint64_t *counter)
{
#if defined(__x86_64__)
    __asm__("incq %0" : "+m"(*counter));
#else
    store(counter, load(counter) + 1);
#endif
}

static inline void recorder_write(uint64_t *leaf, uint64_t *births, const void *address, uint32_t site, uint64_t slot)
{
    recorder_increment(&births[site]);
    store(&leaf[(uintptr_t)address >> GRAIN_BITS], slot);
}

/* The same for a block of Python's domains of SMALL_MOST bytes or less, which has its slot in the table of small ones.
 */
static inline void recorder_write_small(uint64_t *leaf, uint64_t *births, const void *address, uint32_t site,
                                        uint64_t slot)
{
    recorder_increment(&births[site]);
    store(&leaf[(uintptr_t)address >> SMALL_GRAIN_BITS], slot);
}

/* Records a block that the allocator has just returned to the caller. `births`: recorder_births, which a hook has
 * from recorder_enter. */
static inline void recorder_born(uint64_t *births, const void *address, size_t size, uint32_t site, enum domain domain)
{
    uint64_t *leaf = recorder_leaf(address);
    if (likely(births > RECORDER_INSIDE) && likely(leaf != NULL) && likely(recorder_is_common(size)))
        recorder_write(leaf, births, address, site, recorder_slot(address, size, site, domain));
    else
        recorder_born_slowly(address, size, site, domain);
}

/* The same for a native block in the common case. Otherwise does nothing and returns 0. NULL is not a common case: no
 * block is ever tracked in the first megabytes. Nor is any block of an allocator whose blocks may begin 16 bytes apart:
 * its sites are never in the cache. */
static inline int recorder_born_at_once(const void *address, size_t size, uintptr_t return_address)
{
    uint64_t *births = recorder_births;
    /* There is a load between any two tests. Without it the compiler merges them into arithmetic that costs more. */
    if (unlikely(births <= RECORDER_INSIDE))
        return 0;
    uint64_t site = recorder_cache_tag(return_address) ^ load_as_operand(recorder_cache_place(return_address));
    if (unlikely(site >= SITE_LIMIT))
        return 0;
    uint64_t *leaf = recorder_leaf_since_start(address);
    if (unlikely(!leaf))
        return 0;
    uint64_t slot = recorder_slot(address, size, (uint32_t)site, DOMAIN_NATIVE);
    if (unlikely(size >= SIZE_LIMIT))
        return 0;
    recorder_write(leaf, births, address, (uint32_t)site, slot);
    return 1;
}

/* What the slot of an address holds, packed or not; 0 if no block begins there. */
static inline uint64_t recorder_word(const void *address)
{
    uint64_t *leaf = recorder_leaf(address);
    uint64_t slot = likely(leaf != NULL) ? load(&leaf[(uintptr_t)address >> GRAIN_BITS]) : 0;
    return likely(slot & RECORDER_BLOCK_BITS) ? slot : recorder_word_slowly(address);
}

/* Whether two slots have the same site and epoch. */
static inline int recorder_is_same_birth(uint64_t slot, uint64_t other)
{
    return !((slot ^ other) & (EPOCH_MASK << EPOCH_SHIFT | SITE_MASK));
}

static inline uint64_t recorder_take_slot(const void *address)
{
    uint64_t *leaf = recorder_leaf(address);
    if (unlikely(!leaf))
        return 0;
    uint64_t *place = &leaf[(uintptr_t)address >> GRAIN_BITS];
    uint64_t slot = load(place);
    if (unlikely(!(slot & RECORDER_BLOCK_BITS)) || unlikely(slot & BIG_BIT))
        return 0;
    store(place, SLOT_FREED);
    return slot;
}

/* Forgets a block that is about to be released if it is neither small nor big, has no bytecode and is not packed.
 * Otherwise returns 0 and does nothing. */
static inline int recorder_forget_plain(const void *address)
{
    uint64_t *leaf = recorder_leaf_since_start(address);
    if (unlikely(!leaf))
        return 0;
    uint64_t *place = &leaf[(uintptr_t)address >> GRAIN_BITS];
    /* One test for all: only with a site and neither of the two bits is this from 1 to SITE_LIMIT - 1. */
    uint32_t site = (uint32_t)load_as_operand(place) & (uint32_t)(SITE_MASK | CODE_BIT | BIG_BIT);
    if (unlikely(site - 1 >= SITE_LIMIT - 1))
        return 0;
    store(place, SLOT_FREED);
    return 1;
}

/* The same as recorder_take_slot for a block in the table of small ones. */
static inline uint64_t recorder_take_small_slot(const void *address)
{
    uint64_t *leaf = recorder_small_leaf(address);
    if (unlikely(!leaf))
        return 0;
    uint64_t *place = &leaf[(uintptr_t)address >> SMALL_GRAIN_BITS];
    uint64_t slot = load(place);
    if (unlikely(!(slot & RECORDER_BLOCK_BITS)))
        return 0;
    store(place, SLOT_FREED);
    return slot;
}

/* Forgets a block that is about to be released, without reading its slot: this saves a tenth of the tracker's cost.
 * The size of a big block stays in its second slot, which readers skip. Returns 0, and does nothing, if no leaf
 * covers the address. Small blocks are not forgotten: see native_least. */
static inline int recorder_forget_at_once(const void *address)
{
    uint64_t *leaf = recorder_leaf(address);
    if (unlikely(!leaf))
        return 0;
    store(&leaf[(uintptr_t)address >> GRAIN_BITS], SLOT_FREED);
    return 1;
}

/* Forgets a block that is about to be released, and returns what its slot held: 0 for an untracked address. */
static inline struct recorder_block recorder_died(const void *address)
{
    struct recorder_block block = {recorder_take_slot(address), 0};
    return likely(block.slot != 0) ? block : recorder_died_slowly(address);
}

/* Gives a resized block the birth of the old one. A table that grows is then one old block, not a new one each time. */
static inline void recorder_keep_birth(const void *address, struct recorder_block old)
{
    uint64_t *leaf = old.slot ? recorder_leaf(address) : NULL;
    uint64_t *place = leaf ? &leaf[(uintptr_t)address >> GRAIN_BITS] : NULL;
    uint64_t slot = place ? load(place) : 0;
    if (likely(slot & SITE_MASK))
        store(place, old.slot >> EPOCH_SHIFT << EPOCH_SHIFT | (slot & ((1ull << EPOCH_SHIFT) - 1)));
    else if (old.slot)
        recorder_keep_birth_slowly(address, old);
}

#endif
