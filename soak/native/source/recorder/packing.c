/* Packs leaves: writes a copy of their used slots, and lets the kernel take their pages away.
 *
 * Any thread may store into a leaf at any time, so nothing waits and nothing is lost:
 *
 *   1. The copy is made and published. Nobody reads it yet, because no slot that it has is 0 in the leaf.
 *   2. The kernel moves all pages of the leaf elsewhere at once (MREMAP_DONTUNMAP). A store before that is in the moved
 *      pages. A store after that is in a fresh page, which is read before the copy.
 *   3. The moved pages are compared with the copy. What was stored between 1 and 2 is put back, unless something
 *      newer has been stored since. */
#define _GNU_SOURCE
#include "packing.h"
#include "leaves.h"
#include "recorder_hot.h"
#include "system.h"

#include <errno.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define load_acquire(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4 /* since Linux 5.7 */
#endif

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000 /* a kernel that does not know it takes the address as a hint */
#endif

#define LEAF_BYTES (LEAF_SLOTS * sizeof(uint64_t))
#define PAGE_BYTES ((size_t)LEAF_PAGE_BYTES)
#define PAGE_GROUPS (PACKED_GROUPS / LEAF_PAGES)
#define WHOLE_WORDS 8 /* code_bytes if the copy has the words themselves */

/* With more distinct words than this, the copy has the words themselves. */
#define KINDS_MOST 2048u
#define HASH_BITS 13

/* The copies are in chunks, each twice as large as the one before, so that there are few ranges. */
#define CHUNK_FIRST (1ul << 20)
#define CHUNK_LARGEST (1ul << 26)
/* With less address space than this, all of it is left to the program. */
#define AMPLE (16ull << 30)

struct workspace {
    uint64_t moved[LEAF_SLOTS]; /* where the kernel moves the pages of a leaf */
    uint64_t words[LEAF_SLOTS]; /* the used slots of the leaf that is being packed */
    uint64_t used[PACKED_GROUPS];
    uint16_t before[PACKED_GROUPS];
    uint16_t codes[LEAF_SLOTS];
    uint64_t kinds[KINDS_MOST];
    uint16_t code_of_hash[1u << HASH_BITS]; /* one more than the code; 0: free */
    uint32_t count;
    struct pages pages; /* of the leaf, as it is packed */
};

/* The leaf whose pages are being moved away. A forked child must finish that. */
struct under_way {
    uint64_t *slots; /* NULL: none */
    const struct packed *old;
    uint32_t turn; /* changes when a leaf is taken, and when it is finished */
};

int packing_saves_nothing;
uint32_t packing_packed;
static struct workspace *workspace;
static struct under_way under_way;
static uint32_t is_impossible, is_busy;
static char *chunk_next, *chunk_end;
static uint32_t chunk_range;
static size_t chunk_bytes = CHUNK_FIRST;

/* ---- reading ---- */

static struct packed_form form_of(const struct packed *packed)
{
    struct packed_form form;
    __atomic_load(&packed->form, &form, __ATOMIC_RELAXED);
    return form;
}

/* The word of the used slot that has `before` used slots before it. The pages of a replaced copy become empty. Then
 * this is 0 or another word, but never outside the copy. */
static uint64_t nth_word(const struct packed *packed, struct packed_form form, uint32_t before)
{
    if (before >= form.count)
        return 0;
    const void *codes = packed->words + form.kinds;
    switch (form.code_bytes) {
    case 1:
        return load_acquire(&packed->words[((const uint8_t *)codes)[before]]);
    case 2:
        return load_acquire(&packed->words[((const uint16_t *)codes)[before]]);
    default:
        return load_acquire(&((const uint64_t *)codes)[before]);
    }
}

static uint64_t word_in(const struct packed *packed, uint32_t index)
{
    uint64_t used = load_acquire(&packed->used[index / PACKED_GROUP]), bit = 1ull << index % PACKED_GROUP;
    uint32_t before = load(&packed->before[index / PACKED_GROUP]) + (uint32_t)__builtin_popcountll(used & (bit - 1));
    return used & bit ? nth_word(packed, form_of(packed), before) : 0;
}

uint64_t packing_word(const uint64_t *slots, const struct counted *counted, uint32_t index)
{
    for (;;) {
        uint32_t turn = load_acquire(&under_way.turn);
        uint64_t at = load_acquire(&counted->packed), word = 0;
        if (load_acquire(&under_way.slots) == slots)
            word = load_acquire(&workspace->moved[index]);
        if (!word && at)
            word = word_in((const struct packed *)at, index); // NOLINT
        uint64_t newer = load_acquire(&slots[index]);
        if (newer)
            return newer;
        if (likely(load(&counted->packed) == at) && likely(load(&under_way.turn) == turn))
            return word;
    }
}

const uint64_t *packing_group(const uint64_t *slots, const struct packed *packed, uint32_t group,
                              uint64_t into[PACKED_GROUP])
{
    slots += (size_t)group * PACKED_GROUP;
    uint64_t used = packed ? packed->used[group] : 0;
    if (!used)
        return slots;
    struct packed_form form = form_of(packed);
    for (uint32_t i = 0; i < PACKED_GROUP; i++)
        into[i] = load(&slots[i]);
    for (uint32_t n = packed->before[group]; used; n++, used &= used - 1) {
        uint32_t i = (uint32_t)__builtin_ctzll(used);
        if (!into[i])
            into[i] = nth_word(packed, form, n);
    }
    return into;
}

void packing_halve_epochs(struct packed *packed)
{
    struct packed_form form = form_of(packed);
    for (uint32_t n = form.kinds ? form.kinds : form.count; n-- > 0;) {
        uint64_t word = packed->words[n], epoch = word >> EPOCH_SHIFT & EPOCH_MASK;
        if (word & SITE_MASK) /* otherwise it is a size */
            store(&packed->words[n], (word & ~(EPOCH_MASK << EPOCH_SHIFT)) | (epoch >> 1) << EPOCH_SHIFT);
    }
}

/* ---- what is saved ---- */

static int is_empty(const uint64_t *group)
{
    uint64_t all = 0;
    for (uint32_t i = 0; i < PACKED_GROUP; i++)
        all |= load(&group[i]);
    return !all;
}

static void fill(struct pages *pages, uint32_t page)
{
    pages->filled[page / 64] |= 1ull << page % 64;
}

void packing_see_group(struct pages *pages, const uint64_t *slots, uint32_t group)
{
    uint32_t page = group / PAGE_GROUPS;
    if (!(pages->filled[page / 64] >> page % 64 & 1) && !is_empty(slots + (size_t)group * PACKED_GROUP))
        fill(pages, page);
}

int packing_has_emptied(const struct counted *counted)
{
    uint64_t any = 0;
    for (uint32_t i = 0; i < LEAF_PAGES / 64; i++)
        any |= counted->emptied[i];
    return any != 0;
}

void packing_keep_pages(struct counted *counted, const struct pages *pages)
{
    uint32_t empty = 0;
    for (uint32_t i = 0; i < LEAF_PAGES / 64; i++)
        empty += (uint32_t)__builtin_popcountll(counted->emptied[i] & ~pages->filled[i]);
    counted->still_empty = empty;
}

int64_t packing_saved_bytes(const struct counted *counted)
{
    return (int64_t)(counted->still_empty * PAGE_BYTES) - (int64_t)counted->copy_bytes;
}

/* ---- making the copy ---- */

/* Goes over the words of a leaf, and tells whether each is a slot of a block, a size, or neither. */
struct walk {
    int is_big; /* the slot before was that of a big block */
};

static inline int belongs_to_a_block(struct walk *walk, uint64_t word, uint32_t index)
{
    int is_block = (word & RECORDER_BLOCK_BITS) != 0;
    /* At the start of a leaf it may be the size of a block at the end of another one. */
    int is_size = !is_block && word && word != SLOT_FREED && (walk->is_big || !index);
    walk->is_big = is_block && word & BIG_BIT;
    return is_block || is_size;
}

static void gather(const uint64_t *slots, const struct packed *old)
{
    struct workspace *work = workspace;
    struct walk walk = {0};
    uint64_t of_group[PACKED_GROUP];
    work->count = 0;
    work->pages = (struct pages){{0}};
    for (uint32_t g = 0; g < PACKED_GROUPS; g++) {
        const uint64_t *raw = slots + (size_t)g * PACKED_GROUP;
        int empty = is_empty(raw);
        if (!empty)
            fill(&work->pages, g / PAGE_GROUPS);
        uint64_t used = 0;
        work->before[g] = (uint16_t)work->count;
        if (empty && !(old && old->used[g])) {
            walk.is_big = 0;
        } else {
            const uint64_t *words = packing_group(slots, old, g, of_group);
            for (uint32_t i = 0; i < PACKED_GROUP; i++) {
                uint64_t word = load(&words[i]);
                if (!word) {
                    walk.is_big = 0;
                } else if (belongs_to_a_block(&walk, word, g * PACKED_GROUP + i)) {
                    used |= 1ull << i;
                    work->words[work->count++] = word;
                }
            }
        }
        work->used[g] = used;
    }
}

/* Numbers the distinct words. Returns how many there are; 0 if there are too many. */
static uint32_t find_kinds(void)
{
    struct workspace *work = workspace;
    uint32_t kinds = 0;
    uint64_t last = 0;
    uint16_t last_code = 0;
    memset(work->code_of_hash, 0, sizeof work->code_of_hash);
    for (uint32_t n = 0; n < work->count; n++) {
        uint64_t word = work->words[n];
        if (word != last) {
            uint32_t at = (uint32_t)(recorder_mix(word) >> (64 - HASH_BITS));
            while (work->code_of_hash[at] && work->kinds[work->code_of_hash[at] - 1] != word)
                at = (at + 1) & ((1u << HASH_BITS) - 1);
            if (!work->code_of_hash[at]) {
                if (kinds == KINDS_MOST)
                    return 0;
                work->kinds[kinds++] = word;
                work->code_of_hash[at] = (uint16_t)kinds;
            }
            last = word;
            last_code = (uint16_t)(work->code_of_hash[at] - 1);
        }
        work->codes[n] = last_code;
    }
    return kinds;
}

static struct packed_form cheapest_form(uint32_t count, uint32_t kinds, size_t *bytes)
{
    struct packed_form form = {count, (uint16_t)kinds, kinds <= 256 ? 1 : 2};
    size_t with_kinds = sizeof(uint64_t) * kinds + (size_t)form.code_bytes * count, whole = WHOLE_WORDS * (size_t)count;
    if (!kinds || whole <= with_kinds)
        form = (struct packed_form){count, 0, WHOLE_WORDS};
    *bytes = sizeof(struct packed) + (form.kinds ? with_kinds : whole);
    return form;
}

static struct packed *take_memory(size_t bytes)
{
    if ((size_t)(chunk_end - chunk_next) < bytes) {
        char *start = memory_reserve(chunk_bytes, &chunk_range);
        if (!start)
            return NULL;
        chunk_next = start;
        chunk_end = start + chunk_bytes;
        if (chunk_bytes < CHUNK_LARGEST)
            chunk_bytes *= 2;
    }
    chunk_next += bytes;
    return (struct packed *)(chunk_next - bytes); // NOLINT
}

static size_t in_pages(size_t bytes)
{
    return (bytes + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
}

static size_t bytes_of(const struct packed *packed)
{
    struct packed_form form = form_of(packed);
    return in_pages(sizeof *packed + sizeof(uint64_t) * form.kinds + (size_t)form.code_bytes * form.count);
}

static struct packed *make_copy(size_t most)
{
    struct workspace *work = workspace;
    size_t bytes;
    struct packed_form form = cheapest_form(work->count, find_kinds(), &bytes);
    struct packed *packed = in_pages(bytes) <= most ? take_memory(in_pages(bytes)) : NULL;
    if (!packed)
        return NULL;
    memcpy(packed->used, work->used, sizeof work->used);
    memcpy(packed->before, work->before, sizeof work->before);
    packed->form = form;
    void *codes = packed->words + form.kinds;
    memcpy(packed->words, work->kinds, sizeof(uint64_t) * form.kinds);
    if (form.code_bytes == WHOLE_WORDS)
        memcpy(codes, work->words, sizeof(uint64_t) * form.count);
    else if (form.code_bytes == 2)
        memcpy(codes, work->codes, sizeof(uint16_t) * form.count);
    else
        for (uint32_t n = 0; n < form.count; n++)
            ((uint8_t *)codes)[n] = (uint8_t)work->codes[n];
    return packed;
}

/* ---- moving the pages away ---- */

/* It worked before. If it fails now, nothing is mapped at `to` any more, and no leaf is packed again. */
static int move_away(void *from, void *to, size_t bytes)
{
    if (system_call(SYS_mremap, from, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, to) == (long)to)
        return 1;
    store(&is_impossible, 1);
    (void)system_call(SYS_mmap, to, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    return 0;
}

/* Puts back what was stored while the copy was made, unless something newer was stored since. */
static void put_back(uint64_t *slots, const struct packed *old)
{
    const struct workspace *work = workspace;
    struct walk walk = {0};
    uint64_t of_group[PACKED_GROUP];
    uint32_t n = 0;
    for (uint32_t g = 0; g < PACKED_GROUPS; g++) {
        const uint64_t *words = packing_group(work->moved, old, g, of_group);
        uint64_t used = work->used[g];
        if (!used && is_empty(words)) {
            walk.is_big = 0;
            continue;
        }
        for (uint32_t i = 0; i < PACKED_GROUP; i++) {
            uint64_t word = words[i], copied = used >> i & 1 ? work->words[n++] : 0, nothing = 0;
            uint64_t kept = belongs_to_a_block(&walk, word, g * PACKED_GROUP + i) ? word : 0;
            if (unlikely(kept != copied))
                __atomic_compare_exchange_n(&slots[g * PACKED_GROUP + i], &nothing, word ? word : SLOT_FREED, 0,
                                            __ATOMIC_RELAXED, __ATOMIC_RELAXED);
        }
    }
}

/* Returns 0 if the kernel refuses, for example while the program locks its memory. */
static int empty(const void *start, size_t bytes)
{
    return system_call(SYS_madvise, start, bytes, MADV_DONTNEED) == 0;
}

/* From now on readers look into the moved pages, until all that is not in the copy is put back. */
static void take_turn(uint64_t *slots, const struct packed *old)
{
    under_way.old = old;
    store_release(&under_way.slots, slots);
    __atomic_fetch_add(&under_way.turn, 1, __ATOMIC_SEQ_CST);
}

/* Gets the same argument as take_turn: a signal handler may have forked since, and its child has finished already. */
static void finish_turn(uint64_t *slots, const struct packed *old, int moved)
{
    if (moved)
        put_back(slots, old);
    store_release(&under_way.slots, NULL);
    __atomic_fetch_add(&under_way.turn, 1, __ATOMIC_SEQ_CST);
}

/* What a leaf uses after its pages were taken away: what was put back, and what others stored meanwhile. */
static void see_pages_again(const uint64_t *slots, struct counted *counted)
{
    struct pages pages = {{0}};
    for (uint32_t g = 0; g < PACKED_GROUPS; g++)
        packing_see_group(&pages, slots, g);
    packing_keep_pages(counted, &pages);
}

static uint32_t count_pages(const struct pages *pages)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < LEAF_PAGES / 64; i++)
        count += (uint32_t)__builtin_popcountll(pages->filled[i]);
    return count;
}

int packing_pack(uint64_t *slots, struct counted *counted)
{
    if (load(&is_impossible)) /* since the leaf before */
        return 0;
    const struct packed *old = (const struct packed *)counted->packed; // NOLINT
    gather(slots, old);
    const struct pages pages = workspace->pages;
    size_t in_use = count_pages(&pages) * PAGE_BYTES + (old ? bytes_of(old) : 0);
    if (!count_pages(&pages))
        return 0;
    struct packed *packed = workspace->count ? make_copy(packing_saves_nothing ? SIZE_MAX : in_use / 2) : NULL;
    if (!packed && workspace->count)
        return 0;
    const struct counted before = *counted;
    counted->copy_bytes = packed ? bytes_of(packed) : 0;
    for (uint32_t i = 0; i < LEAF_PAGES / 64; i++)
        counted->emptied[i] |= pages.filled[i];
    take_turn(slots, old);
    store_release(&counted->packed, (uintptr_t)packed);
    store(&packing_packed, packing_packed + 1);
    int moved = move_away(slots, workspace->moved, LEAF_BYTES);
    if (!moved) {
        store_release(&counted->packed, (uintptr_t)old);
        counted->copy_bytes = before.copy_bytes;
        memcpy(counted->emptied, before.emptied, sizeof before.emptied);
    }
    finish_turn(slots, old, moved);
    if (moved) {
        if (!empty(workspace->moved, LEAF_BYTES)) /* a reader would take these words for those of the next leaf */
            store(&is_impossible, 1);
        see_pages_again(slots, counted);
    }
    const struct packed *useless = moved ? old : packed;
    if (useless)
        (void)empty(useless, bytes_of(useless));
    return moved;
}

void packing_go_on_in_child(void)
{
    if (under_way.slots)
        finish_turn(under_way.slots, under_way.old, !load(&is_impossible));
    store(&is_busy, 0);
}

/* ---- whether it is possible ---- */

/* Before Linux 5.7, and where another kernel runs the program, the call fails or even unmaps what it moves. */
static int moves_without_unmapping(void)
{
    uint64_t *from = workspace->words, *to = workspace->moved;
    from[0] = 1;
    if (!move_away(from, to, PAGE_BYTES))
        return 0;
    /* Changes nothing, and fails if nothing is mapped there. */
    int is_mapped = system_call(SYS_madvise, from, PAGE_BYTES, MADV_DONTDUMP) == 0;
    return is_mapped && to[0] == 1 && from[0] == 0;
}

static int prepare(void)
{
    if (memory_limit(AMPLE) || getauxval(AT_PAGESZ) != PAGE_BYTES)
        return 0;
    if (!workspace) {
        workspace = recorder_reserve(in_pages(sizeof *workspace));
        if (!workspace)
            return 0;
        /* If it is impossible, a part may no longer be mapped, and others may map there. */
        if (!moves_without_unmapping() || !empty(workspace, sizeof *workspace))
            store(&is_impossible, 1);
    }
    return !load(&is_impossible);
}

int packing_begin(void)
{
    if (load(&memory_is_filtered) || load(&is_impossible) || __atomic_exchange_n(&is_busy, 1, __ATOMIC_ACQUIRE))
        return 0;
    int saved = errno, is_ready = prepare();
    errno = saved;
    if (!is_ready)
        store_release(&is_busy, 0);
    return is_ready;
}

void packing_end(void)
{
    int saved = errno;
    if (!load(&is_impossible) && !empty(workspace, sizeof *workspace))
        store(&is_impossible, 1);
    errno = saved;
    store_release(&is_busy, 0);
}

void packing_give_back(void)
{
    if (__atomic_exchange_n(&is_busy, 1, __ATOMIC_ACQUIRE))
        return;
    if (chunk_next < chunk_end)
        memory_give_back(chunk_range, chunk_next);
    chunk_end = chunk_next;
    store_release(&is_busy, 0);
}
