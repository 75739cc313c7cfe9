/* The recorder: the shadow table, the table of sites, the counters of births, and the count at a checkpoint. */
#define _GNU_SOURCE
#include "packing.h"
#include "recorder_hot.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

#define load_acquire(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define increment(p) __atomic_fetch_add((p), 1, __ATOMIC_RELAXED)

#define INDEX_BITS (SITE_BITS + 1)
#define INDEX_MASK ((1u << INDEX_BITS) - 1)
#define BIRTHS_LIMIT 256

struct recorder_control recorder_control HOT_DATA = {
    .epoch_bits = EPOCH_MASK << EPOCH_SHIFT, .native_least = SMALL_MOST + 1, .still_ns = 250000000};
__thread uint64_t *recorder_births __attribute__((tls_model("initial-exec")));
uint64_t recorder_native_cache[1u << RECORDER_CACHE_BITS];

/* The counters of one thread. The next thread continues with them, so their sum is always the number of all births. */
struct births {
    uint64_t *counts;
    uint32_t owned;
};

static struct site *sites;
static uint32_t *site_index;
static uint32_t *row_heads;
static uint32_t next_site;

static struct births births_blocks[BIRTHS_LIMIT];
static uint64_t *shared_births; /* for threads that are ending, and for threads that found no counters of their own */
static pthread_key_t thread_key;
static int have_thread_key;
static __thread int thread_ended __attribute__((tls_model("initial-exec")));

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

static void thread_ends(void *block)
{
    thread_ended = 1;
    recorder_births = NULL;
    store_release(&((struct births *)block)->owned, 0);
}

int recorder_start(void)
{
    if (sites)
        return 0;
    int failed = leaves_start();
    site_index = recorder_reserve(sizeof *site_index << INDEX_BITS);
    row_heads = recorder_reserve(sizeof *row_heads * SITE_LIMIT);
    shared_births = recorder_reserve(sizeof *shared_births * SITE_LIMIT);
    struct site *table = recorder_reserve(sizeof *table * SITE_LIMIT);
    if (failed || !site_index || !row_heads || !shared_births || !table)
        return -1;
    table[1].kind = SITE_UNKNOWN;
    next_site = 2;
    have_thread_key = pthread_key_create(&thread_key, thread_ends) == 0;
    sites = table;
    recorder_control.scale = 1ull << EPOCH_SHIFT;
    recorder_control.recording = 1;
    return 0;
}

void recorder_stop(void)
{
    recorder_control.recording = 0;
    recorder_births = RECORDER_INSIDE;
    leaves_forget();
}

void recorder_go_on_in_child(void)
{
    packing_go_on_in_child();
    if (recorder_births == RECORDER_INSIDE)
        return; /* in a signal handler during an allocation: the owner of the counters is not known */
    for (int i = 0; i < BIRTHS_LIMIT; i++)
        if (births_blocks[i].counts != recorder_births)
            store(&births_blocks[i].owned, 0);
}

void recorder_places(struct tables *tables)
{
    tables->cycle_at = (uintptr_t)&recorder_control.cycle;
    tables->sites = (uintptr_t)sites;
    tables->site_count_at = (uintptr_t)&next_site;
    tables->site_cache = (uintptr_t)recorder_native_cache;
    tables->site_cache_words = 1u << RECORDER_CACHE_BITS;
    tables->lost_blocks_at = (uintptr_t)&lost_blocks;
    tables->lost_sites_at = (uintptr_t)&lost_sites;
    leaves_places_of(tables);
    memory_places(tables);
}

uint64_t recorder_epoch(void)
{
    return (load(&recorder_control.cycle) >> load(&recorder_control.shift)) & EPOCH_MASK;
}

/* ---- blocks ---- */

static int is_small(size_t size, enum domain domain)
{
    return size <= SMALL_MOST && (domain != DOMAIN_NATIVE || size < recorder_control.native_least);
}

static uint64_t *make_slot(uintptr_t address, size_t size, enum domain domain)
{
    return is_small(size, domain) ? leaves_small_slot(address, 1) : leaves_slot(address, 1);
}

/* What is known of an address: its slot and the content of the slot. Nothing if there is no slot. */
struct found {
    uint64_t *slot;
    uint64_t word;
};

/* Finds what begins at exactly this address. Where a small block begins, the other table has nothing, because
 * allocators keep blocks of one size together. */
static struct found find(const void *address)
{
    struct found found;
    found.word = leaves_read((uintptr_t)address, &found.slot);
    if (!(found.word & RECORDER_BLOCK_BITS))
        found.word = leaves_small_read((uintptr_t)address, &found.slot);
    return found.word & RECORDER_BLOCK_BITS ? found : (struct found){NULL, 0};
}

static uintptr_t second_address(const void *address)
{
    return (uintptr_t)address + (1u << GRAIN_BITS);
}

/* Stores both slots of a big block: the size first, because another thread may count meanwhile. If the leaf is
 * packed between the two stores, it loses a size that belongs to no block yet. */
static void store_big(uint64_t *slot, uint64_t *next, uint64_t value, uint64_t size)
{
    store(next, size);
    __atomic_store_n(slot, value, __ATOMIC_SEQ_CST);
    if (unlikely(__atomic_load_n(next, __ATOMIC_SEQ_CST) != size))
        store(next, size);
}

/* Takes counters for this thread, if there are any. */
static void claim_births(void)
{
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
    uint64_t *slot = make_slot((uintptr_t)address, size, domain);
    if (!slot) {
        increment(&lost_blocks);
        return;
    }
    recorder_count_birth(site);
    uint64_t *next = size >= SIZE_LIMIT ? leaves_slot(second_address(address), 1) : NULL;
    if (size < SIZE_LIMIT)
        store(slot, recorder_slot(address, size, site, domain));
    else if (next)
        store_big(slot, next, recorder_slot(address, 0, site, domain) | BIG_BIT, (uint64_t)size << SIZE_SHIFT);
    else
        store(slot, recorder_slot(address, 0, site, domain) | BIG_BIT);
}

struct recorder_block recorder_died_slowly(const void *address)
{
    struct recorder_block block = {0, 0};
    struct found found = find(address);
    if (!found.slot) /* an untracked block must not dirty a page of the table */
        return block;
    block.slot = found.word;
    uint64_t *next = NULL;
    if (block.slot & BIG_BIT) /* before it belongs to no block any more */
        block.big = leaves_read(second_address(address), &next);
    store(found.slot, SLOT_FREED);
    if (next)
        store(next, SLOT_FREED);
    return block;
}

void recorder_put_back(const void *address, struct recorder_block block)
{
    if (!block.slot)
        return;
    enum domain domain = (enum domain)(block.slot >> DOMAIN_SHIFT & DOMAIN_MASK);
    /* The slot of a big block has no size, that of untracked bytecode has no site; neither is small. */
    int is_whole = !(block.slot & BIG_BIT) && block.slot & SITE_MASK;
    uint64_t *slot = make_slot((uintptr_t)address, is_whole ? recorder_size(block) : SIZE_LIMIT, domain);
    uint64_t *next = block.slot & BIG_BIT ? leaves_slot(second_address(address), 0) : NULL;
    if (slot && next)
        store_big(slot, next, block.slot, block.big);
    else if (slot)
        store(slot, block.slot);
}

void recorder_keep_birth_slowly(const void *address, struct recorder_block old)
{
    struct found found = find(address);
    if (found.slot)
        store(found.slot, old.slot >> EPOCH_SHIFT << EPOCH_SHIFT | (found.word & ((1ull << EPOCH_SHIFT) - 1)));
}

uint64_t recorder_word_slowly(const void *address)
{
    return find(address).word;
}

uint32_t recorder_site_of(const void *address)
{
    return (uint32_t)(find(address).word & SITE_MASK);
}

void recorder_take_over(const void *address, uint32_t site)
{
    struct found found = find(address);
    if (!(found.word & SITE_MASK))
        return;
    recorder_count_birth(site);
    store(found.slot, recorder_slot_of_heir(found.word, site));
}

void recorder_share_birth(const void *address, const void *owner)
{
    const uint64_t birth_bits = EPOCH_MASK << EPOCH_SHIFT | SITE_MASK;
    struct found found = find(address);
    uint64_t birth = find(owner).word & birth_bits;
    if (!(found.word & SITE_MASK) || !(birth & SITE_MASK) || recorder_is_same_birth(found.word, birth))
        return;
    recorder_count_birth((uint32_t)(birth & SITE_MASK));
    store(found.slot, (found.word & ~birth_bits) | birth);
}

void recorder_mark_code(const void *address)
{
    struct found found = find(address);
    uint64_t *slot = found.slot ? found.slot : leaves_slot((uintptr_t)address, 1);
    if (slot)
        store(slot, found.word | CODE_BIT);
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
    if (recorder_control.native_least)
        return load(&sites[site].flags) & SITE_FLAGGED ? site | SITE_WANTS_STACK : site;
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

static const uint64_t *slots_of(const struct leaf *leaf)
{
    return (const uint64_t *)load_acquire(&leaf->slots); // NOLINT
}

static struct counted *counted_of(const struct leaf *leaf)
{
    return (struct counted *)leaf->counted; // NOLINT
}

static struct packed *packed_of(const struct leaf *leaf)
{
    return (struct packed *)counted_of(leaf)->packed; // NOLINT
}

static uint64_t size_of(const struct leaf *leaf, uint32_t index, uint64_t slot)
{
    if (likely(!(slot & BIG_BIT)))
        return slot >> SIZE_SHIFT & (SIZE_LIMIT - 1);
    uint64_t word, *next;
    if (likely(index + 1 < LEAF_SLOTS)) { /* to look for it would touch the leaf */
        word = load(slots_of(leaf) + index + 1);
        word = word ? word : packing_word(slots_of(leaf), counted_of(leaf), index + 1);
    } else {
        word = leaves_read(leaf->base + ((uintptr_t)LEAF_SLOTS << leaf->grain_bits), &next);
    }
    return word >> SIZE_SHIFT;
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
            uint64_t any = load(group) | load(group + 1) | load(group + 2) | load(group + 3) | load(group + 4)
                           | load(group + 5) | load(group + 6) | load(group + 7);
            if (!(any & SITE_MASK)) {
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

/* When half of the epoch field is used, an epoch becomes twice as many cycles. A block that is allocated meanwhile
 * keeps its old number; epoch_of reads that as "now". */
static void halve_epochs(uint32_t leaf_total)
{
    for (uint32_t l = 0; l < leaf_total; l++) {
        const struct leaf *leaf = &leaves_list()[l];
        uint64_t *slots = (uint64_t *)slots_of(leaf);
        if (slots)
            counted_of(leaf)->is_known = 0;
        for (uint32_t i = 0; slots && (i = next_used(slots, i)) < LEAF_SLOTS; i++) {
            uint64_t slot = load(&slots[i]);
            uint64_t epoch = slot >> EPOCH_SHIFT & EPOCH_MASK;
            uint64_t halved = (slot & ~(EPOCH_MASK << EPOCH_SHIFT)) | (epoch >> 1) << EPOCH_SHIFT;
            /* The owner may free the block meanwhile; then its store stays. */
            __atomic_compare_exchange_n(&slots[i], &slot, halved, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
        }
        if (slots && packed_of(leaf))
            packing_halve_epochs(packed_of(leaf));
    }
    store(&recorder_control.shift, recorder_control.shift + 1);
    store(&recorder_control.scale, 1ull << (EPOCH_SHIFT - recorder_control.shift));
}

static void add_to_row(struct ledger_checkpoint *checkpoint, struct ledger_row *rows, uint32_t capacity, uint32_t site,
                       enum domain domain, uint16_t bucket, uint64_t blocks, uint64_t bytes)
{
    uint32_t head = row_heads[site];
    /* A head from an earlier count does not point to a row of this site in this count. */
    uint32_t row = head < checkpoint->rows && rows[head].site == site ? head : capacity;
    while (row < capacity && !(rows[row].bucket == bucket && rows[row].domain == domain))
        row = rows[row].next;
    if (row >= capacity) {
        if (checkpoint->rows >= capacity) {
            checkpoint->unlisted_blocks += blocks;
            checkpoint->unlisted_bytes += bytes;
            return;
        }
        row = checkpoint->rows++;
        uint32_t next = head < row && rows[head].site == site ? head : capacity;
        rows[row] = (struct ledger_row){.site = site, .domain = (uint8_t)domain, .bucket = bucket, .next = next};
        row_heads[site] = row;
    }
    rows[row].live_blocks += blocks;
    rows[row].live_bytes += bytes;
}

void recorder_add_row(struct ledger_checkpoint *checkpoint, struct ledger_row *rows, uint32_t capacity, uint32_t site,
                      enum domain domain, uint64_t epoch, uint64_t bytes)
{
    add_to_row(checkpoint, rows, capacity, site, domain, bucket_of(epoch), 1, bytes);
}

/* What was counted of one site, domain and epoch and is in no row yet. In a heap with millions of blocks from a few
 * sites nearly all are added here; finding their row takes ten times as long. */
#define GATHERED 64
#define SITE_AND_DOMAIN (DOMAIN_MASK << DOMAIN_SHIFT | SITE_MASK)
#define ROW_BITS (EPOCH_MASK << EPOCH_SHIFT | (uint64_t)SITE_AND_DOMAIN)
struct gathered {
    uint64_t key; /* these bits of the slot */
    uint64_t blocks;
    uint64_t bytes;
};

struct count {
    struct ledger_checkpoint *checkpoint;
    struct ledger_row *rows;
    uint32_t capacity;
    uint64_t now;
    struct counted *remembers; /* of the leaf that is counted now; or NULL */
    struct gathered gathered[GATHERED];
};

static void add_counted(const struct count *count, const struct counted_row *row)
{
    count->checkpoint->live_blocks += row->blocks;
    count->checkpoint->live_bytes += row->bytes;
    add_to_row(count->checkpoint, count->rows, count->capacity, row->site_and_domain & SITE_MASK,
               (enum domain)(row->site_and_domain >> DOMAIN_SHIFT), row->bucket, row->blocks, row->bytes);
}

/* Blocks of one bucket are mostly next to each other, so only the latest rows are compared. */
#define LATEST_ROWS 8

static void remember(struct count *count, const struct counted_row *row)
{
    struct counted *into = count->remembers;
    uint32_t oldest = into->count > LATEST_ROWS ? into->count - LATEST_ROWS : 0;
    for (uint32_t i = into->count; i-- > oldest;) {
        if (into->rows[i].site_and_domain == row->site_and_domain && into->rows[i].bucket == row->bucket) {
            into->rows[i].blocks += row->blocks;
            into->rows[i].bytes += row->bytes;
            return;
        }
    }
    if (into->count == COUNTED_ROWS)
        count->remembers = NULL;
    else
        into->rows[into->count++] = *row;
}

static void settle(struct count *count, const struct gathered *gathered)
{
    if (!gathered->blocks)
        return;
    uint64_t epoch = epoch_of(gathered->key, count->now);
    struct counted_row row = {.site_and_domain = (uint32_t)gathered->key & SITE_AND_DOMAIN,
                              .bucket = bucket_of(epoch),
                              .blocks = (uint32_t)gathered->blocks,
                              .bytes = gathered->bytes};
    add_counted(count, &row);
    if (count->remembers && epoch != (gathered->key >> EPOCH_SHIFT & EPOCH_MASK))
        count->remembers = NULL; /* later it would be another bucket */
    if (count->remembers)
        remember(count, &row);
}

static void settle_leaf(struct count *count)
{
    for (uint32_t i = 0; i < GATHERED; i++) {
        settle(count, &count->gathered[i]);
        count->gathered[i] = (struct gathered){0, 0, 0};
    }
}

static inline void count_slot(struct count *count, const struct leaf *leaf, uint32_t index, uint64_t slot)
{
    uint64_t key = slot & ROW_BITS;
    struct gathered *into = &count->gathered[(key ^ key >> EPOCH_SHIFT) % GATHERED];
    if (unlikely(into->key != key)) {
        settle(count, into);
        *into = (struct gathered){key, 0, 0};
    }
    into->blocks++;
    into->bytes += size_of(leaf, index, slot);
}

static void count_packed_leaf(struct count *count, const struct leaf *leaf, const uint64_t *slots)
{
    uint64_t of_group[PACKED_GROUP];
    struct pages pages = {{0}};
    for (uint32_t group = 0; group < PACKED_GROUPS; group++) {
        packing_see_group(&pages, slots, group);
        const uint64_t *words = packing_group(slots, packed_of(leaf), group, of_group);
        for (uint32_t i = 0; i < PACKED_GROUP; i++) {
            uint64_t slot = load(&words[i]);
            if (slot & SITE_MASK)
                count_slot(count, leaf, group * PACKED_GROUP + i, slot);
        }
    }
    packing_keep_pages(counted_of(leaf), &pages);
}

static void count_leaf(struct count *count, const struct leaf *leaf, const uint64_t *slots)
{
    if (packing_has_emptied(counted_of(leaf))) {
        count_packed_leaf(count, leaf, slots);
    } else {
        for (uint32_t i = 0; (i = next_used(slots, i)) < LEAF_SLOTS; i++) {
            uint64_t slot = load(&slots[i]);
            if (slot & SITE_MASK)
                count_slot(count, leaf, i, slot);
        }
    }
    settle_leaf(count);
}

/* A leaf that nobody has touched for still_ns is counted once more, and then no longer. But a thread may have found
 * a slot before, not have run for all that time, and store into it later. So each leaf is counted again at some of
 * the checkpoints. */
#define COUNTED_AGAIN 64

static void count_blocks(struct ledger_checkpoint *checkpoint, struct ledger_row *rows, uint32_t capacity,
                         uint32_t leaf_total, uint64_t now_ns)
{
    static uint32_t turn;
    struct count count = {.checkpoint = checkpoint, .rows = rows, .capacity = capacity, .now = recorder_epoch()};
    turn++;
    for (uint32_t l = 0; l < leaf_total; l++) {
        const struct leaf *leaf = &leaves_list()[l];
        const uint64_t *slots = slots_of(leaf);
        if (!slots)
            continue;
        struct counted *counted = counted_of(leaf);
        int touched = leaves_were_touched(leaf);
        if (!touched && counted->is_known && (l + turn) % COUNTED_AGAIN) {
            for (uint32_t i = 0; i < counted->count; i++)
                add_counted(&count, &counted->rows[i]);
            continue;
        }
        if (touched)
            counted->touched_ns = now_ns;
        int is_still = now_ns - counted->touched_ns >= recorder_control.still_ns;
        if (is_still || counted->is_known)
            counted->is_known = counted->count = 0;
        count.remembers = is_still && !touched ? counted : NULL;
        count_leaf(&count, leaf, slots);
        if (count.remembers)
            counted->is_known = 1;
    }
}

/* ---- packing what does not change ---- */

static uint64_t monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

/* Packing may take this part of the time since it was last done. */
#define PACKING_SHARE 16
#define PACKING_TRIES_DOUBLED 16

/* A leaf that was packed and changed again must be unchanged for longer each time. */
static int should_be_packed(const struct counted *counted, uint64_t now_ns)
{
    unsigned doubled = counted->tried < PACKING_TRIES_DOUBLED ? counted->tried : PACKING_TRIES_DOUBLED;
    return counted->touched_ns && counted->touched_ns >= counted->tried_ns
           && now_ns - counted->touched_ns >= recorder_control.still_ns << (2 * doubled);
}

static void pack_leaves(uint32_t leaf_total, uint64_t now_ns, uint64_t most_ns, uint32_t *turn)
{
    static uint32_t next;
    int has_begun = 0;
    for (uint32_t n = 0; n < leaf_total; n++, next++) {
        const struct leaf *leaf = &leaves_list()[next % leaf_total];
        uint64_t *slots = (uint64_t *)slots_of(leaf);
        struct counted *counted = slots ? counted_of(leaf) : NULL;
        if (!slots || !should_be_packed(counted, now_ns))
            continue;
        if (has_begun ? monotonic_ns() - now_ns >= most_ns : !(has_begun = packing_begin()))
            break;
        if (!(*turn % 2))
            __atomic_fetch_add(turn, 1, __ATOMIC_SEQ_CST);
        (void)packing_pack(slots, counted);
        counted->tried++;
        counted->tried_ns = now_ns + 1; /* touched at this time counts as touched before it */
    }
    if (has_begun)
        packing_end();
}

static int64_t saved_bytes(uint32_t leaf_total)
{
    int64_t saved = 0;
    for (uint32_t l = 0; l < leaf_total; l++)
        if (slots_of(&leaves_list()[l]))
            saved += packing_saved_bytes(counted_of(&leaves_list()[l]));
    return saved;
}

void recorder_pack(int64_t *saved, uint32_t *turn)
{
    static uint64_t last_ns;
    uint64_t now_ns = monotonic_ns(), most_ns = (now_ns - last_ns) / PACKING_SHARE;
    uint32_t total = leaves_count();
    if (recorder_control.packing_ns)
        pack_leaves(total, now_ns, most_ns < recorder_control.packing_ns ? most_ns : recorder_control.packing_ns, turn);
    last_ns = now_ns;
    __atomic_store_n(saved, saved_bytes(total), __ATOMIC_SEQ_CST);
    if (*turn % 2)
        __atomic_fetch_add(turn, 1, __ATOMIC_SEQ_CST);
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
    uint64_t before_ns = monotonic_ns();
    uint32_t total = leaves_count();
    while (load(&recorder_control.cycle) >> recorder_control.shift >= 1ull << (EPOCH_BITS - 1))
        halve_epochs(total);
    checkpoint->cycle = load(&recorder_control.cycle);
    checkpoint->shift = recorder_control.shift;
    count_blocks(checkpoint, rows, capacity, total, before_ns);
    checkpoint->sites = recorder_site_count();
    sum_births(births, checkpoint->sites < site_capacity ? checkpoint->sites : site_capacity);
    checkpoint->lost_blocks = load(&lost_blocks);
    checkpoint->lost_sites = load(&lost_sites);
    checkpoint->scan_ns = monotonic_ns() - before_ns;
}
