/* The recorder: the shadow table, the table of sites, the counters of births, and the count at a checkpoint. */
#define _GNU_SOURCE
#include "recorder_hot.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define load_acquire(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define increment(p) __atomic_fetch_add((p), 1, __ATOMIC_RELAXED)

#define LEAF_BYTES (LEAF_SLOTS * sizeof(uint64_t))
#define TOP_BITS (ADDRESS_BITS - LEAF_BITS)

/* With less address space than this, the top level is not reserved: it takes 1 GiB, and a program that just fits must
 * still fit. The same holds where the reservation fails (strict overcommit). There are three levels then. */
#define AMPLE_ADDRESS_SPACE (16ull << 30)
#define MIDDLE_BITS 13
#define MIDDLE_MASK ((1u << MIDDLE_BITS) - 1)

#define CHUNK_LIMIT 192
#define CHUNK_FIRST 8 /* leaves; each further chunk is twice as large, so that there are few ranges */
#define CHUNK_LARGEST 512
/* A forked child has a copy of the table, which the kernel makes page by page as either process writes. To share a page
 * makes the fork dearer, so what is beyond so many leaves (256 MiB of heap) is empty in the child: the blocks there are
 * then untracked. */
#define LEAVES_IN_CHILD 256
/* Under a limit of address space, a chunk has at most one leaf for each 256 MiB of the limit. CHUNK_LIMIT such chunks
 * cover three quarters of the limit. The heap can take two thirds at most, because its table is half as large. */
#define LIMIT_PER_LEAF_BITS 28

#define INDEX_BITS (SITE_BITS + 1)
#define INDEX_MASK ((1u << INDEX_BITS) - 1)
#define BIRTHS_LIMIT 256

struct recorder_control recorder_control;
__thread uint64_t *recorder_births __attribute__((tls_model("initial-exec")));
uint64_t **recorder_top;
uint64_t recorder_native_cache[1u << RECORDER_CACHE_BITS];

struct chunk {
    char *base;
    uint32_t leaves;
    uint32_t used;
};

/* The counters of one thread. The next thread continues with them, so their sum is always the number of all births. */
struct births {
    uint64_t *counts;
    uint32_t owned;
};

static uint64_t ***upper; /* three levels, where recorder_top is NULL */
static struct leaf *leaves;
static uint32_t leaf_count;
static struct chunk chunks[CHUNK_LIMIT];
static uint32_t chunk_count;
static uint32_t chunk_largest = CHUNK_LARGEST;
static struct chunk *current_chunk;

static struct site *sites;
static uint32_t *site_index;
static uint32_t *row_heads;
static uint32_t next_site;

static struct births births_blocks[BIRTHS_LIMIT];
static uint64_t *shared_births; /* for threads that are ending, and for threads that found no counters of their own */
static pthread_key_t thread_key;
static int have_thread_key;
static __thread int thread_ended __attribute__((tls_model("initial-exec")));

static struct range ranges[LEDGER_RANGES];
static uint32_t range_count;

static uint64_t lost_blocks;
static uint64_t lost_sites;

uint64_t recorder_mix(uint64_t value)
{
    value ^= value >> 30;
    value *= 0xbf58476d1ce4e5b9ull;
    value ^= value >> 27;
    value *= 0x94d049bb133111ebull;
    return value ^ (value >> 31);
}

/* By system call, so that the tracker's own mappings do not pass its hooks. Leaves errno alone. */
static void *map(size_t bytes)
{
    int saved = errno;
    long result = syscall(SYS_mmap, NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                          -1, 0);
    if (result == -1) {
        errno = saved;
        return NULL;
    }
    /* A table in which one slot is used would cost 2 MiB with a huge page. */
    (void)syscall(SYS_madvise, result, bytes, MADV_NOHUGEPAGE);
    (void)syscall(SYS_madvise, result, bytes, MADV_DONTDUMP);
    errno = saved;
    return (void *)result; // NOLINT
}

static void note_range(void *start, size_t bytes)
{
    uint32_t place = increment(&range_count);
    if (place < LEDGER_RANGES) {
        ranges[place].start = (uintptr_t)start;
        store_release(&ranges[place].end, (uintptr_t)start + bytes);
    }
}

void *recorder_reserve(size_t bytes)
{
    void *memory = map(bytes);
    if (memory)
        note_range(memory, bytes);
    return memory;
}

size_t recorder_ranges(struct range *out, size_t capacity)
{
    size_t count = load(&range_count);
    if (count > LEDGER_RANGES)
        count = LEDGER_RANGES;
    if (count > capacity)
        count = capacity;
    memcpy(out, ranges, count * sizeof *out);
    return count;
}

static void thread_ends(void *block)
{
    thread_ended = 1;
    recorder_births = NULL;
    store_release(&((struct births *)block)->owned, 0);
}

/* Whether there is address space for two levels. Where there is not, sets the largest chunk. */
static int is_address_space_ample(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur >= AMPLE_ADDRESS_SPACE)
        return 1;
    chunk_largest = (uint32_t)(limit.rlim_cur >> LIMIT_PER_LEAF_BITS);
    if (chunk_largest < CHUNK_FIRST)
        chunk_largest = CHUNK_FIRST;
    return 0;
}

int recorder_start(void)
{
    if (sites)
        return 0;
    uint64_t **top = NULL;
    if (is_address_space_ample())
        top = recorder_reserve(sizeof *top << TOP_BITS);
    if (!top)
        upper = recorder_reserve(sizeof *upper << (TOP_BITS - MIDDLE_BITS));
    leaves = recorder_reserve(sizeof *leaves * LEAF_LIMIT);
    site_index = recorder_reserve(sizeof *site_index << INDEX_BITS);
    row_heads = recorder_reserve(sizeof *row_heads * SITE_LIMIT);
    shared_births = recorder_reserve(sizeof *shared_births * SITE_LIMIT);
    struct site *table = recorder_reserve(sizeof *table * SITE_LIMIT);
    if (!(top || upper) || !leaves || !site_index || !row_heads || !shared_births || !table)
        return -1;
    table[1].kind = SITE_UNKNOWN;
    next_site = 2;
    have_thread_key = pthread_key_create(&thread_key, thread_ends) == 0;
    sites = table;
    recorder_control.scale = 1ull << EPOCH_SHIFT;
    recorder_control.recording = 1;
    store_release(&recorder_top, top);
    return 0;
}

void recorder_stop(void)
{
    recorder_control.recording = 0;
    recorder_births = RECORDER_INSIDE;
    upper = NULL;
    store_release(&recorder_top, NULL);
}

void recorder_go_on_in_child(void)
{
    if (recorder_births == RECORDER_INSIDE)
        return; /* in a signal handler during an allocation: whose counters these are is not known */
    for (int i = 0; i < BIRTHS_LIMIT; i++)
        if (births_blocks[i].counts != recorder_births)
            store(&births_blocks[i].owned, 0);
}

void recorder_places(struct tables *tables)
{
    tables->cycle_at = (uintptr_t)&recorder_control.cycle;
    tables->leaves = (uintptr_t)leaves;
    tables->leaf_count_at = (uintptr_t)&leaf_count;
    tables->sites = (uintptr_t)sites;
    tables->site_count_at = (uintptr_t)&next_site;
    tables->site_cache = (uintptr_t)recorder_native_cache;
    tables->site_cache_words = 1u << RECORDER_CACHE_BITS;
    tables->ranges = (uintptr_t)ranges;
    tables->range_count_at = (uintptr_t)&range_count;
    tables->lost_blocks_at = (uintptr_t)&lost_blocks;
    tables->lost_sites_at = (uintptr_t)&lost_sites;
}

uint64_t recorder_epoch(void)
{
    return (load(&recorder_control.cycle) >> load(&recorder_control.shift)) & EPOCH_MASK;
}

/* ---- the shadow table ---- */

static uint64_t *new_leaf(void)
{
    for (;;) {
        struct chunk *chunk = load_acquire(&current_chunk);
        if (chunk) {
            uint32_t taken = increment(&chunk->used);
            if (taken < chunk->leaves)
                return (uint64_t *)(chunk->base + (size_t)taken * LEAF_BYTES);
            /* Other threads may count beyond the end as well, each by one. This keeps the counter from wrapping. */
            store(&chunk->used, chunk->leaves);
        }
        uint32_t wanted = chunk ? chunk->leaves * 2 : CHUNK_FIRST;
        if (wanted > chunk_largest)
            wanted = chunk_largest;
        char *base = map(wanted * LEAF_BYTES);
        if (!base) {
            wanted = 1;
            base = map(LEAF_BYTES);
        }
        if (!base)
            return NULL;
        uint32_t place = increment(&chunk_count);
        if (place >= CHUNK_LIMIT) {
            store(&chunk_count, CHUNK_LIMIT);
            (void)syscall(SYS_munmap, base, wanted * LEAF_BYTES);
            return NULL;
        }
        /* With three levels a chunk may hold tables of the middle level, which the child needs. */
        if (load(&leaf_count) >= LEAVES_IN_CHILD && load(&recorder_top)) {
            int saved = errno;
            (void)syscall(SYS_madvise, base, wanted * LEAF_BYTES, MADV_WIPEONFORK);
            errno = saved;
        }
        chunks[place] = (struct chunk){base, wanted, 0};
        if (__atomic_compare_exchange_n(&current_chunk, &chunk, &chunks[place], 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
            note_range(base, wanted * LEAF_BYTES);
        else
            (void)syscall(SYS_munmap, base, wanted * LEAF_BYTES);
    }
}

static uint64_t **find_entry(uintptr_t number, int make)
{
    uint64_t **top = load(&recorder_top);
    if (likely(top != NULL))
        return &top[number];
    if (!upper)
        return NULL;
    uint64_t ***place = &upper[number >> MIDDLE_BITS];
    uint64_t **middle = load_acquire(place);
    if (!middle && make) {
        uint64_t **fresh = (uint64_t **)new_leaf(); /* larger than needed, but only touched pages take memory */
        if (!fresh)
            return NULL;
        if (__atomic_compare_exchange_n(place, &middle, fresh, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
            middle = fresh;
    }
    return middle ? &middle[number & MIDDLE_MASK] : NULL;
}

/* The table holds, for each leaf, where the slot of address 0 would be. A slot is then found without a mask. */
static uint64_t *biased(uint64_t *leaf, uintptr_t number)
{
    return (uint64_t *)((uintptr_t)leaf - (number << (LEAF_BITS - 4)) * sizeof *leaf);
}

static __attribute__((noinline)) uint64_t *make_leaf(uintptr_t number)
{
    uint64_t **entry = find_entry(number, 1);
    uint64_t *fresh = entry ? new_leaf() : NULL;
    if (!fresh)
        return NULL;
    uint64_t *leaf = NULL;
    if (!__atomic_compare_exchange_n(entry, &leaf, biased(fresh, number), 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        return leaf;
    uint32_t place = increment(&leaf_count);
    if (place < LEAF_LIMIT) {
        leaves[place].base = number << LEAF_BITS;
        store_release(&leaves[place].slots, (uintptr_t)fresh);
    } else {
        store(&leaf_count, LEAF_LIMIT);
    }
    return biased(fresh, number);
}

/* Returns the slot of an address; NULL when no block near it was ever tracked. */
static uint64_t *find_slot(uintptr_t address)
{
    uint64_t **entry = address >> ADDRESS_BITS ? NULL : find_entry(address >> LEAF_BITS, 0);
    uint64_t *leaf = entry ? load_acquire(entry) : NULL;
    return leaf ? &leaf[address >> 4] : NULL;
}

static uint64_t *make_slot(uintptr_t address)
{
    uint64_t *slot = find_slot(address);
    if (slot || address >> ADDRESS_BITS)
        return slot;
    uint64_t *leaf = make_leaf(address >> LEAF_BITS);
    return leaf ? &leaf[address >> 4] : NULL;
}

/* Takes counters for this thread, if there are any. With three levels a thread gets none, so every allocation takes the
 * slow path, and the fast path need not check the number of levels. */
static void claim_births(void)
{
    if (!load(&recorder_top))
        return;
    for (int i = 0; i < BIRTHS_LIMIT; i++) {
        struct births *block = &births_blocks[i];
        uint32_t nobody = 0;
        if (load(&block->owned)
            || !__atomic_compare_exchange_n(&block->owned, &nobody, 1, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
            continue;
        if (!block->counts)
            store_release(&block->counts, (uint64_t *)recorder_reserve(sizeof *block->counts * SITE_LIMIT));
        (void)recorder_enter(); /* pthread_setspecific may allocate */
        if (block->counts && pthread_setspecific(thread_key, block) == 0) {
            recorder_leave(block->counts);
        } else {
            recorder_leave(NULL);
            store_release(&block->owned, 0);
        }
        return;
    }
}

void recorder_count_birth(uint32_t site)
{
    if (!recorder_births && !thread_ended && have_thread_key)
        claim_births();
    uint64_t *births = recorder_births;
    if (births > RECORDER_INSIDE)
        recorder_increment(&births[site]);
    else
        increment(&shared_births[site]);
}

void recorder_born_slowly(const void *address, size_t size, uint32_t site, enum domain domain)
{
    if (!address || !recorder_is_on())
        return;
    uint64_t *slot = make_slot((uintptr_t)address);
    if (!slot) {
        increment(&lost_blocks);
        return;
    }
    recorder_count_birth(site);
    uint64_t value = recorder_slot(size, site, domain);
    if (size >= SIZE_LIMIT) {
        uint64_t *next = make_slot((uintptr_t)address + 16);
        if (next)
            store(next, (uint64_t)size << SIZE_SHIFT);
        value = recorder_slot(0, site, domain) | BIG_BIT;
    }
    store(slot, value);
}

struct recorder_block recorder_died_slowly(const void *address)
{
    struct recorder_block block = {0, 0};
    uint64_t *slot = find_slot((uintptr_t)address);
    block.slot = slot ? load(slot) : 0;
    if (!block.slot) /* an untracked block must not make its table's page dirty */
        return block;
    store(slot, 0);
    uint64_t *next = block.slot & BIG_BIT ? find_slot((uintptr_t)address + 16) : NULL;
    if (next) {
        block.big = load(next);
        store(next, 0);
    }
    return block;
}

void recorder_put_back(const void *address, struct recorder_block block)
{
    uint64_t *slot = block.slot ? find_slot((uintptr_t)address) : NULL;
    if (!slot)
        return;
    uint64_t *next = block.slot & BIG_BIT ? find_slot((uintptr_t)address + 16) : NULL;
    if (next)
        store(next, block.big);
    store(slot, block.slot);
}

uint32_t recorder_site_of(const void *address)
{
    uint64_t *slot = find_slot((uintptr_t)address);
    return slot ? (uint32_t)(load(slot) & SITE_MASK) : 0;
}

void recorder_take_over(const void *address, uint32_t site)
{
    uint64_t *slot = find_slot((uintptr_t)address);
    if (!slot || !(load(slot) & SITE_MASK))
        return;
    recorder_count_birth(site);
    store(slot, recorder_slot_of_heir(load(slot), site));
}

void recorder_share_birth(const void *address, const void *owner)
{
    const uint64_t birth_bits = EPOCH_MASK << EPOCH_SHIFT | SITE_MASK;
    uint64_t *slot = find_slot((uintptr_t)address), *from = find_slot((uintptr_t)owner);
    uint64_t birth = from ? load(from) & birth_bits : 0;
    if (!slot || !(load(slot) & SITE_MASK) || !(birth & SITE_MASK) || (load(slot) & birth_bits) == birth)
        return;
    recorder_count_birth((uint32_t)(birth & SITE_MASK));
    store(slot, (load(slot) & ~birth_bits) | birth);
}

void recorder_mark_code(const void *address)
{
    uint64_t *slot = make_slot((uintptr_t)address);
    if (slot)
        store(slot, load(slot) | CODE_BIT);
}

uint64_t recorder_size(struct recorder_block block)
{
    return block.slot & BIG_BIT ? block.big >> SIZE_SHIFT : block.slot >> SIZE_SHIFT & (SIZE_LIMIT - 1);
}

/* ---- sites ---- */

uint32_t recorder_site(uint64_t key, int *created)
{
    uint32_t mine = 0;
    if (created)
        *created = 0;
    for (uint32_t place = (uint32_t)(recorder_mix(key) >> (64 - INDEX_BITS));; place = (place + 1) & INDEX_MASK) {
        uint32_t found = load_acquire(&site_index[place]);
        if (!found) {
            if (!created)
                return 0;
            if (!mine) {
                mine = load(&next_site) < SITE_LIMIT ? increment(&next_site) : SITE_LIMIT;
                if (mine >= SITE_LIMIT) {
                    increment(&lost_sites);
                    return 1;
                }
                sites[mine].kind = (uint32_t)(key >> 56);
                store_release(&sites[mine].key, key);
            }
            if (__atomic_compare_exchange_n(&site_index[place], &found, mine, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
                *created = 1;
                return mine;
            }
        }
        if (load_acquire(&sites[found].key) == key) {
            if (mine) /* another thread was faster; this number stays unused */
                sites[mine].kind = SITE_NONE;
            return found;
        }
    }
}

struct site *recorder_site_at(uint32_t site)
{
    return &sites[site];
}

uint32_t recorder_site_count(void)
{
    uint32_t count = load(&next_site);
    return count < SITE_LIMIT ? count : SITE_LIMIT;
}

uint32_t recorder_native_site_slowly(uintptr_t return_address)
{
    int created;
    uint32_t site = recorder_site((uint64_t)SITE_NATIVE << 56 | return_address, &created);
    if (created)
        sites[site].address = return_address;
    uint64_t *cached = recorder_cache_place(return_address);
    if (!load(&sites[site].flags)) {
        __atomic_store_n(cached, recorder_cache_tag(return_address) | site, __ATOMIC_SEQ_CST);
        /* A flag that is set between the test and the store would go unnoticed until the entry is replaced. */
        if (!__atomic_load_n(&sites[site].flags, __ATOMIC_SEQ_CST))
            return site;
        store(cached, 0);
    }
    return load(&sites[site].flags) & SITE_FLAGGED ? site | SITE_WANTS_STACK : site;
}

int recorder_flag(uint32_t site, uint32_t flags)
{
    if (site < 2 || site >= recorder_site_count())
        return -1;
    __atomic_fetch_or(&sites[site].flags, flags, __ATOMIC_SEQ_CST);
    for (uint32_t i = 0; i < 1u << RECORDER_CACHE_BITS; i++) {
        uint64_t entry = __atomic_load_n(&recorder_native_cache[i], __ATOMIC_SEQ_CST);
        if ((entry & SITE_MASK) == site)
            __atomic_compare_exchange_n(&recorder_native_cache[i], &entry, 0, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    }
    return 0;
}

/* ---- reading what is alive ---- */

static uint64_t epoch_of(uint64_t slot, uint64_t now)
{
    uint64_t epoch = slot >> EPOCH_SHIFT & EPOCH_MASK;
    return epoch < now ? epoch : now; /* born while the epochs were being halved */
}

static uint64_t *slots_of(uint32_t leaf)
{
    return (uint64_t *)load_acquire(&leaves[leaf].slots); // NOLINT
}

static uint64_t size_of(uintptr_t base, uint32_t index, uint64_t slot)
{
    if (likely(!(slot & BIG_BIT)))
        return slot >> SIZE_SHIFT & (SIZE_LIMIT - 1);
    uint64_t *next = find_slot(base + ((uintptr_t)index << 4) + 16);
    return next ? load(next) >> SIZE_SHIFT : 0;
}

static uint16_t bucket_of(uint64_t epoch)
{
    if (epoch < BUCKETS_EXACT)
        return (uint16_t)epoch;
    unsigned octave = 63u - (unsigned)__builtin_clzll(epoch);
    return (uint16_t)(BUCKETS_EXACT + (octave - 3) * BUCKETS_PER_OCTAVE
                      + ((epoch >> (octave - 2)) & (BUCKETS_PER_OCTAVE - 1)));
}

/* Returns the first used slot from `index` on; LEAF_SLOTS when there is none. */
static uint32_t next_used(const uint64_t *slots, uint32_t index)
{
    while (index < LEAF_SLOTS) {
        if (index % 8 == 0) {
            const uint64_t *group = slots + index;
            if (!(load(group) | load(group + 1) | load(group + 2) | load(group + 3) | load(group + 4) | load(group + 5)
                  | load(group + 6) | load(group + 7))) {
                index += 8;
                continue;
            }
        }
        if (load(slots + index) & SITE_MASK)
            return index;
        index++;
    }
    return LEAF_SLOTS;
}

/* When half of the epoch field is used up, an epoch becomes twice as many cycles. A block that is allocated meanwhile
 * keeps its old number; epoch_of reads that as "now". */
static void halve_epochs(uint32_t leaf_total)
{
    for (uint32_t l = 0; l < leaf_total; l++) {
        uint64_t *slots = slots_of(l);
        for (uint32_t i = 0; slots && (i = next_used(slots, i)) < LEAF_SLOTS; i++) {
            uint64_t slot = load(&slots[i]);
            uint64_t epoch = slot >> EPOCH_SHIFT & EPOCH_MASK;
            uint64_t halved = (slot & ~(EPOCH_MASK << EPOCH_SHIFT)) | (epoch >> 1) << EPOCH_SHIFT;
            /* The owner may free the block meanwhile; then its store stays. */
            __atomic_compare_exchange_n(&slots[i], &slot, halved, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
        }
    }
    store(&recorder_control.shift, recorder_control.shift + 1);
    store(&recorder_control.scale, 1ull << (EPOCH_SHIFT - recorder_control.shift));
}

static uint32_t leaves_to_read(void)
{
    uint32_t count = load(&leaf_count);
    return count < LEAF_LIMIT ? count : LEAF_LIMIT;
}

void recorder_add_row(struct ledger_checkpoint *checkpoint, struct ledger_row *rows, uint32_t capacity, uint32_t site,
                      enum domain domain, uint64_t epoch, uint64_t bytes)
{
    uint16_t bucket = bucket_of(epoch);
    uint32_t head = row_heads[site];
    /* A head from an earlier count does not point to a row of this site in this count. */
    uint32_t row = head < checkpoint->rows && rows[head].site == site ? head : capacity;
    while (row < capacity && !(rows[row].bucket == bucket && rows[row].domain == domain))
        row = rows[row].next;
    if (row >= capacity) {
        if (checkpoint->rows >= capacity) {
            checkpoint->unlisted_blocks++;
            checkpoint->unlisted_bytes += bytes;
            return;
        }
        row = checkpoint->rows++;
        uint32_t next = head < row && rows[head].site == site ? head : capacity;
        rows[row] = (struct ledger_row){.site = site, .domain = (uint8_t)domain, .bucket = bucket, .next = next};
        row_heads[site] = row;
    }
    rows[row].live_blocks++;
    rows[row].live_bytes += bytes;
}

static void sum_births(uint64_t *births, uint32_t count)
{
    memcpy(births, shared_births, count * sizeof *births);
    for (int i = 0; i < BIRTHS_LIMIT; i++) {
        uint64_t *counts = load_acquire(&births_blocks[i].counts);
        for (uint32_t site = 0; counts && site < count; site++)
            births[site] += load(&counts[site]);
    }
}

void recorder_count(struct ledger_checkpoint *checkpoint, struct ledger_row *rows, uint32_t capacity, uint64_t *births,
                    uint32_t site_capacity)
{
    struct timespec before, after;
    clock_gettime(CLOCK_MONOTONIC, &before);
    uint32_t total = leaves_to_read();
    while (load(&recorder_control.cycle) >> recorder_control.shift >= 1ull << (EPOCH_BITS - 1))
        halve_epochs(total);
    uint64_t now = recorder_epoch();
    checkpoint->cycle = load(&recorder_control.cycle);
    checkpoint->shift = recorder_control.shift;
    for (uint32_t l = 0; l < total; l++) {
        uint64_t *slots = slots_of(l);
        for (uint32_t i = 0; slots && (i = next_used(slots, i)) < LEAF_SLOTS; i++) {
            uint64_t slot = load(&slots[i]);
            uint32_t site = (uint32_t)slot & SITE_MASK;
            if (!site)
                continue;
            uint64_t bytes = size_of(leaves[l].base, i, slot);
            checkpoint->live_blocks++;
            checkpoint->live_bytes += bytes;
            recorder_add_row(checkpoint, rows, capacity, site, (enum domain)(slot >> DOMAIN_SHIFT & DOMAIN_MASK),
                             epoch_of(slot, now), bytes);
        }
    }
    checkpoint->sites = recorder_site_count();
    sum_births(births, checkpoint->sites < site_capacity ? checkpoint->sites : site_capacity);
    checkpoint->lost_blocks = load(&lost_blocks);
    checkpoint->lost_sites = load(&lost_sites);
    clock_gettime(CLOCK_MONOTONIC, &after);
    checkpoint->scan_ns = (uint64_t)(after.tv_sec - before.tv_sec) * 1000000000ull + (uint64_t)after.tv_nsec
                          - (uint64_t)before.tv_nsec;
}
