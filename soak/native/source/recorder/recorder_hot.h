/* The part of the recorder that every allocation and release passes through: inline, without calls. */
#ifndef SOAK_RECORDER_HOT_H
#define SOAK_RECORDER_HOT_H

#include "recorder.h"

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
/* Relaxed, because a slot belongs to the owner of its block and readers only count. As cheap as plain ones. */
#define load(p) __atomic_load_n((p), __ATOMIC_RELAXED)
#define store(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)

#if defined(__aarch64__)
#define ADDRESS_BITS 48
#define CODE_ALIGNMENT_BITS 2 /* makes the address of an instruction fit beside a site */
#else
#define ADDRESS_BITS 47
#define CODE_ALIGNMENT_BITS 0
#endif

#define RECORDER_CACHE_BITS 13

/* Two levels: by address >> LEAF_BITS, then by address >> 4 (see `biased` in recorder.c). NULL: nothing is recorded, or
 * there are three levels because there was no room for this one. */
extern uint64_t **recorder_top HIDDEN;

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

static inline uint64_t recorder_slot(size_t size, uint32_t site, enum domain domain)
{
    uint64_t epoch = load(&recorder_control.cycle) * load(&recorder_control.scale) >> EPOCH_SHIFT << EPOCH_SHIFT;
    return epoch | (uint64_t)size << SIZE_SHIFT | (uint64_t)domain << DOMAIN_SHIFT | site;
}

/* The slot of a block that another object takes over now. */
static inline uint64_t recorder_slot_of_heir(uint64_t slot, uint32_t site)
{
    return (slot & ((1ull << EPOCH_SHIFT) - 1) & ~(uint64_t)SITE_MASK) | recorder_slot(0, site, DOMAIN_NATIVE);
}

/* The site of a return address, perhaps with SITE_WANTS_STACK. Flagged sites are never in the cache, so the check costs
 * nothing at all other sites. */
static inline uint32_t recorder_native_site(uintptr_t return_address)
{
    uint64_t site = load(recorder_cache_place(return_address)) ^ recorder_cache_tag(return_address);
    return likely(site < SITE_LIMIT && site) ? (uint32_t)site : recorder_native_site_slowly(return_address);
}

/* Whether this thread's allocations are recorded now. */
static inline int recorder_is_on(void)
{
    return recorder_births != RECORDER_INSIDE && load(&recorder_control.recording);
}

static inline uint64_t *recorder_leaf(const void *address)
{
    uint64_t **top = load(&recorder_top);
    return likely(top != NULL) ? __atomic_load_n(&top[(uintptr_t)address >> LEAF_BITS], __ATOMIC_ACQUIRE) : NULL;
}

/* The counter belongs to one thread. In one instruction; a relaxed load and store would be three. */
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
    store(&leaf[(uintptr_t)address >> 4], slot);
}

/* Records a block that the allocator has just returned to the caller. `births`: recorder_births; a hook that called
 * recorder_enter has it at hand. */
static inline void recorder_born(uint64_t *births, const void *address, size_t size, uint32_t site, enum domain domain)
{
    uint64_t *leaf = recorder_leaf(address);
    if (likely(births > RECORDER_INSIDE) && likely(leaf != NULL) && likely(size < SIZE_LIMIT))
        recorder_write(leaf, births, address, site, recorder_slot(size, site, domain));
    else
        recorder_born_slowly(address, size, site, domain);
}

/* The same for a native block in the common case. Otherwise does nothing and returns 0. NULL is not a common case: no
 * block is ever tracked in the first megabyte. */
static inline int recorder_born_at_once(const void *address, size_t size, uintptr_t return_address)
{
    uint64_t *births = recorder_births;
    /* There is a load between any two tests. Without it the compiler merges them into arithmetic that costs more. */
    if (unlikely(births <= RECORDER_INSIDE))
        return 0;
    uint64_t site = load(recorder_cache_place(return_address)) ^ recorder_cache_tag(return_address);
    if (unlikely(site >= SITE_LIMIT))
        return 0;
    /* A thread that has counters has two levels: see claim_births. */
    uint64_t *leaf = __atomic_load_n(&load(&recorder_top)[(uintptr_t)address >> LEAF_BITS], __ATOMIC_ACQUIRE);
    if (unlikely(!leaf))
        return 0;
    uint64_t slot = recorder_slot(size, (uint32_t)site, DOMAIN_NATIVE);
    if (unlikely(size >= SIZE_LIMIT))
        return 0;
    recorder_write(leaf, births, address, (uint32_t)site, slot);
    return 1;
}

static inline uint64_t recorder_take_slot(const void *address)
{
    uint64_t *leaf = recorder_leaf(address);
    if (unlikely(!leaf))
        return 0;
    uint64_t *place = &leaf[(uintptr_t)address >> 4];
    uint64_t slot = load(place);
    if (unlikely(!slot) || unlikely(slot & BIG_BIT))
        return 0;
    store(place, 0);
    return slot;
}

/* Forgets a block that is about to be released, without reading its slot: that saves a tenth of the tracker's cost. The
 * size of a big block stays behind in its second slot, which readers skip. Returns 0, and does nothing, where no leaf
 * covers the address. */
static inline int recorder_forget_at_once(const void *address)
{
    uint64_t *leaf = recorder_leaf(address);
    if (unlikely(!leaf))
        return 0;
    store(&leaf[(uintptr_t)address >> 4], 0);
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
    if (!leaf)
        return;
    uint64_t *place = &leaf[(uintptr_t)address >> 4];
    uint64_t slot = load(place);
    if (likely(slot != 0))
        store(place, old.slot >> EPOCH_SHIFT << EPOCH_SHIFT | (slot & ((1ull << EPOCH_SHIFT) - 1)));
}

#endif
