/* The leaves of the shadow table: made at first use, without a lock, in chunks that are reserved in advance. */
#define _GNU_SOURCE
#include "leaves.h"
#include "packing.h"
#include "recorder.h"

#define load_acquire(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define increment(p) __atomic_fetch_add((p), 1, __ATOMIC_RELAXED)

#define LEAF_BYTES (LEAF_SLOTS * sizeof(uint64_t))
#define PAGE_MASK 4095ul

#define CHUNK_LIMIT 192
#define CHUNK_FIRST 8 /* leaves; each further chunk is twice as large, so that there are few ranges */
#define CHUNK_LARGEST 512
#define CHUNK_AHEAD 512 /* before system calls are filtered */
/* A program under a limit must have room for its own memory. With less than AMPLE, a chunk has at most one leaf for
 * each 512 MiB of the limit; CHUNK_LIMIT such chunks cover three quarters of the limit. */
#define AMPLE (16ull << 30)
#define LIMIT_PER_LEAF_BITS 29
struct chunk {
    struct counted *counted; /* of each of its leaves; the range begins here */
    char *base;
    uint32_t leaves;
    uint32_t used;
    uint32_t range;
};

struct places leaves_places[2] __attribute__((aligned(4096)));
static struct leaf *leaves;
static uint32_t leaf_count;
static struct chunk chunks[CHUNK_LIMIT];
static uint32_t chunk_count;
static uint32_t chunk_first = CHUNK_FIRST;
static uint32_t chunk_largest = CHUNK_LARGEST;
static struct chunk *current_chunk;

static void respect_limits(void)
{
    uint64_t limit = memory_limit(AMPLE);
    if (!limit)
        return;
    uint32_t most = (uint32_t)(limit >> LIMIT_PER_LEAF_BITS);
    store(&chunk_first, 1u);
    store(&chunk_largest, most ? most : 1u);
}

int leaves_start(void)
{
    if (leaves)
        return 0;
    (void)memory_note(leaves_places, sizeof leaves_places);
    /* NULL may be released at any time. It has the number 0, as free places have; place 0 would seem to be its leaf. */
    store(&leaves_places[0].numbers[0], NO_LEAF);
    store(&leaves_places[1].numbers[0], NO_LEAF);
    leaves = recorder_reserve(sizeof *leaves * LEAF_LIMIT);
    respect_limits();
    return leaves ? 0 : -1;
}

/* Makes a new chunk the current one in place of `chunk`. Returns 0 if there is no memory or no room for it. */
static int add_chunk(struct chunk *chunk, uint32_t wanted)
{
    uint32_t range;
    size_t counted_bytes = (wanted * sizeof(struct counted) + PAGE_MASK) & ~PAGE_MASK;
    char *start = memory_reserve(counted_bytes + wanted * LEAF_BYTES, &range);
    if (!start)
        return 0;
    uint32_t place = increment(&chunk_count);
    if (place >= CHUNK_LIMIT) {
        store(&chunk_count, CHUNK_LIMIT);
        memory_give_back(range, start);
        return 0;
    }
    chunks[place] = (struct chunk){(struct counted *)start, start + counted_bytes, wanted, 0, range};
    if (!__atomic_compare_exchange_n(&current_chunk, &chunk, &chunks[place], 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        memory_give_back(range, start);
    return 1;
}

static uint64_t *new_leaf(struct counted **counted)
{
    for (;;) {
        struct chunk *chunk = load_acquire(&current_chunk);
        if (chunk) {
            uint32_t taken = increment(&chunk->used);
            if (taken < chunk->leaves) {
                *counted = &chunk->counted[taken];
                return (uint64_t *)(chunk->base + (size_t)taken * LEAF_BYTES);
            }
            /* Other threads may count beyond the end as well, each by one. This prevents an overflow of the counter. */
            store(&chunk->used, chunk->leaves);
        }
        uint32_t wanted = chunk ? chunk->leaves * 2 : load(&chunk_first);
        if (wanted > load(&chunk_largest))
            wanted = load(&chunk_largest);
        if (!add_chunk(chunk, wanted) && !add_chunk(chunk, 1))
            return NULL;
    }
}

void leaves_give_back(void)
{
    respect_limits();
    packing_give_back();
    struct chunk *chunk = load_acquire(&current_chunk);
    uint32_t taken = chunk ? __atomic_exchange_n(&chunk->used, chunk->leaves, __ATOMIC_ACQ_REL) : 0;
    if (chunk && taken < chunk->leaves)
        memory_give_back(chunk->range, chunk->base + (size_t)taken * LEAF_BYTES);
}

void leaves_reserve_ahead(void)
{
    (void)add_chunk(load_acquire(&current_chunk), memory_limit(AMPLE) ? load(&chunk_largest) : CHUNK_AHEAD);
}

/* ---- finding ---- */

static uint64_t *biased(uint64_t *leaf, uintptr_t number)
{
    return (uint64_t *)((uintptr_t)leaf - (number << LEAF_SLOT_BITS) * sizeof *leaf);
}

#define NOWHERE UINTPTR_MAX

/* Heaps are long rows of leaves. If two heaps have the same places, the next free place may be thousands away, and
 * each allocation would search for it. So a leaf whose first place is taken has other places of its own. */
#define PLACES_TRIED 128

/* Returns the place of a leaf; NOWHERE if it has none. With `claim`, it then gets a free one, if there is one. */
static uintptr_t find_place(struct places *places, uintptr_t number, int claim)
{
    uintptr_t apart = (uintptr_t)recorder_mix(number) | 1; /* odd, so that all places come in turn */
    for (uintptr_t i = 0; i < PLACES_TRIED; i++) {
        uintptr_t at = (number + i * apart) & PLACE_MASK;
        uintptr_t owner = load_acquire(&places->owners[at]);
        if (!owner) {
            if (!claim)
                return NOWHERE;
            if (__atomic_compare_exchange_n(&places->owners[at], &owner, number, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
                return at;
        }
        if (owner == number)
            return at;
    }
    return NOWHERE;
}

static void list_leaf(uint64_t *leaf, struct counted *counted, uintptr_t number, unsigned grain_bits)
{
    uint32_t at = increment(&leaf_count);
    if (at >= LEAF_LIMIT) {
        store(&leaf_count, LEAF_LIMIT);
        return;
    }
    leaves[at].base = number << (grain_bits + LEAF_SLOT_BITS);
    leaves[at].grain_bits = grain_bits;
    leaves[at].counted = (uintptr_t)counted;
    store_release(&leaves[at].slots, (uintptr_t)leaf);
}

/* Several threads, or a signal handler, may come here for the same leaf. The first one that has memory wins. */
static __attribute__((noinline)) uint64_t *make_leaf(struct places *places, uintptr_t number, unsigned grain_bits)
{
    int is_listed = load(&leaf_count) < LEAF_LIMIT; /* what is in no list is not counted, so it is lost */
    uintptr_t at = find_place(places, number, is_listed);
    if (at == NOWHERE)
        return NULL;
    uint64_t *found = load_acquire(&places->slots[at]);
    struct counted *counted = NULL;
    uint64_t *fresh = found || !is_listed ? NULL : new_leaf(&counted);
    uint64_t *slots = fresh ? biased(fresh, number) : NULL;
    if (slots
        && __atomic_compare_exchange_n(&places->slots[at], &found, slots, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
        store_release(&places->counted[at], counted);
        list_leaf(fresh, counted, number, grain_bits);
        found = slots;
    }
    if (found)
        store_release(&places->numbers[at], number);
    return found;
}

static inline uint64_t *slot_in(struct places *places, uintptr_t address, unsigned grain_bits, int make)
{
    uintptr_t number = address >> (grain_bits + LEAF_SLOT_BITS);
    if (!number)
        return NULL; /* its number would be that of a free place */
    uint64_t *slots = leaves_at_first_place(places, number, 0);
    if (!slots) {
        uintptr_t at = find_place(places, number, 0);
        slots = at == NOWHERE ? NULL : load_acquire(&places->slots[at]);
        if (slots && load(&places->numbers[at]) != number)
            store_release(&places->numbers[at], number); /* leaves_were_touched */
    }
    if (!slots && make)
        slots = make_leaf(places, number, grain_bits);
    return slots ? &slots[address >> grain_bits] : NULL;
}

uint64_t *leaves_slot(uintptr_t address, int make)
{
    return slot_in(&leaves_places[0], address, GRAIN_BITS, make);
}

uint64_t *leaves_small_slot(uintptr_t address, int make)
{
    return slot_in(&leaves_places[1], address, SMALL_GRAIN_BITS, make);
}

static uint64_t read_in(struct places *places, uintptr_t address, unsigned grain_bits, uint64_t **slot)
{
    *slot = slot_in(places, address, grain_bits, 0);
    uint64_t word = *slot ? load_acquire(*slot) : 0;
    if (word || !*slot || !load(&packing_packed))
        return word;
    uintptr_t at = find_place(places, address >> (grain_bits + LEAF_SLOT_BITS), 0);
    const struct counted *counted = at == NOWHERE ? NULL : load_acquire(&places->counted[at]);
    uint32_t index = (uint32_t)(address >> grain_bits) & (LEAF_SLOTS - 1);
    return counted ? packing_word(*slot - index, counted, index) : 0;
}

uint64_t leaves_read(uintptr_t address, uint64_t **slot)
{
    return read_in(&leaves_places[0], address, GRAIN_BITS, slot);
}

uint64_t leaves_small_read(uintptr_t address, uint64_t **slot)
{
    return read_in(&leaves_places[1], address, SMALL_GRAIN_BITS, slot);
}

int leaves_were_touched(const struct leaf *leaf)
{
    struct places *places = &leaves_places[leaf->grain_bits == SMALL_GRAIN_BITS];
    uintptr_t at = find_place(places, leaf->base >> (leaf->grain_bits + LEAF_SLOT_BITS), 0);
    return at == NOWHERE || __atomic_exchange_n(&places->numbers[at], NO_LEAF, __ATOMIC_SEQ_CST) != NO_LEAF;
}

void leaves_forget(void)
{
    for (uint32_t i = leaves_count(); i-- > 0;) {
        struct places *places = &leaves_places[leaves[i].grain_bits == SMALL_GRAIN_BITS];
        uintptr_t at = find_place(places, leaves[i].base >> (leaves[i].grain_bits + LEAF_SLOT_BITS), 0);
        if (at != NOWHERE) {
            store(&places->numbers[at], NO_LEAF);
            store(&places->slots[at], NULL);
        }
    }
}

uint32_t leaves_count(void)
{
    uint32_t count = load(&leaf_count);
    return count < LEAF_LIMIT ? count : LEAF_LIMIT;
}

const struct leaf *leaves_list(void)
{
    return leaves;
}

void leaves_places_of(struct tables *tables)
{
    tables->leaves = (uintptr_t)leaves;
    tables->leaf_count_at = (uintptr_t)&leaf_count;
}
