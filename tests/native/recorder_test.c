/* Drives the recorder without preload, one case by name: exit 0 when it holds, else a line on stderr and 1. */
#define _GNU_SOURCE
#include "recorder/mappings.h"
#include "recorder/packing.h"
#include "recorder/recorder_hot.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROWS 65536
#define COUNTED_AGAIN 64 /* recorder.c: within so many checkpoints each leaf is counted again */
#define EXPECT(what)                                                                                                   \
    do {                                                                                                               \
        if (!(what)) {                                                                                                 \
            fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #what);                                   \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

static struct ledger_row rows[ROWS];
static uint64_t births[SITE_LIMIT];
static struct ledger_checkpoint checkpoint;
static int64_t saved_bytes;
static uint32_t packing_turn;

/* Packs every leaf that can be packed, however often it changes. Returns how many were. */
static uint32_t pack_all(void)
{
    struct tables tables = {0};
    recorder_places(&tables);
    const struct leaf *leaves = (const struct leaf *)tables.leaves;
    uint32_t packed = 0;
    if (!packing_begin()) /* with a limit of memory */
        return 0;
    for (uint32_t l = 0; l < load((uint32_t *)tables.leaf_count_at); l++) {
        uint64_t *slots = (uint64_t *)__atomic_load_n(&leaves[l].slots, __ATOMIC_ACQUIRE);
        packed += slots && packing_pack(slots, (struct counted *)leaves[l].counted);
    }
    packing_end();
    return packed;
}

static int packs; /* before each count, in every case */

static void count(void)
{
    if (packs)
        (void)pack_all();
    memset(&checkpoint, 0, sizeof checkpoint);
    recorder_count(&checkpoint, rows, ROWS, births, SITE_LIMIT);
    recorder_pack(&saved_bytes, &packing_turn);
    EXPECT(packing_turn % 2 == 0);
    mappings_count(&checkpoint, rows, ROWS);
}

static void start(void)
{
    EXPECT(recorder_start() == 0);
    recorder_control.still_ns = 0; /* so that two counts are enough to remember a leaf */
    recorder_control.packing_ns = 4000000;
    EXPECT(mappings_start() == 0);
}

static void born(uintptr_t address, size_t size, uint32_t site)
{
    recorder_born(recorder_births, (void *)address, size, site, DOMAIN_NATIVE);
}

static void a_block_is_counted_until_it_dies(void)
{
    uint32_t site = recorder_native_site(0x4000);
    recorder_control.cycle = 5;
    born(0x10000000, 106, site);
    count();
    EXPECT(checkpoint.live_blocks == 1 && checkpoint.live_bytes == 106 && checkpoint.rows == 1);
    EXPECT(rows[0].site == site && rows[0].bucket == 5 && rows[0].live_bytes == 106 && births[site] == 1);
    EXPECT(recorder_size(recorder_died((void *)0x10000000)) == 106);
    EXPECT(recorder_died((void *)0x10000000).slot == 0);
    EXPECT(recorder_died((void *)0x7fff00000000).slot == 0);
    count();
    EXPECT(checkpoint.live_blocks == 0 && checkpoint.rows == 0 && births[site] == 1);
}

static void a_big_block_keeps_its_exact_size(void)
{
    uint32_t site = recorder_native_site(0x4000);
    uintptr_t at_the_end_of_a_leaf = 0x100ffffe0;
    size_t sizes[] = {SIZE_LIMIT - 1, SIZE_LIMIT, 5000000000ull};
    for (int i = 0; i < 3; i++) {
        born(at_the_end_of_a_leaf, sizes[i], site);
        count();
        EXPECT(checkpoint.live_blocks == 1 && checkpoint.live_bytes == sizes[i]);
        struct recorder_block block = recorder_died((void *)at_the_end_of_a_leaf);
        EXPECT(recorder_size(block) == sizes[i]);
        recorder_put_back((void *)at_the_end_of_a_leaf, block);
        count();
        EXPECT(checkpoint.live_blocks == 1 && checkpoint.live_bytes == sizes[i]);
        (void)recorder_died((void *)at_the_end_of_a_leaf);
        count();
        EXPECT(checkpoint.live_blocks == 0);
    }
}

/* Counts the live blocks born in cycles [from, to), of one site or (0) of all, as a reader outside does; of the first
 * one the address and the slot. */
static uint64_t born_in(uint64_t from, uint64_t to, uint32_t site, uintptr_t *address, uint64_t *slot)
{
    struct tables tables = {0};
    recorder_places(&tables);
    const struct leaf *leaves = (const struct leaf *)tables.leaves;
    uint64_t found = 0;
    for (uint32_t l = 0; l < load((uint32_t *)tables.leaf_count_at); l++) {
        for (uint32_t i = 0; i < LEAF_SLOTS; i++) {
            uint64_t value = packing_word((uint64_t *)leaves[l].slots, (struct counted *)leaves[l].counted, i);
            uint64_t cycle = value >> EPOCH_SHIFT << recorder_control.shift;
            if (!(value & SITE_MASK) || (site && (value & SITE_MASK) != site) || cycle < from || cycle >= to)
                continue;
            if (!found++) {
                *address = leaves[l].base + ((uintptr_t)i << leaves[l].grain_bits);
                *slot = value;
            }
        }
    }
    return found;
}

static void a_slot_tells_the_birth_cycle(void)
{
    uint32_t site = recorder_native_site(0x4000), other = recorder_native_site(0x5000);
    for (uint64_t cycle = 0; cycle < 100; cycle++) {
        recorder_control.cycle = cycle;
        born(0x20000000 + 64 * cycle, 10, site);
        born(0x30000000 + 64 * cycle, 20, other);
    }
    uintptr_t address;
    uint64_t slot;
    EXPECT(born_in(40, 60, 0, &address, &slot) == 40);
    EXPECT(born_in(40, 60, site, &address, &slot) == 20);
    EXPECT(address == 0x20000000 + 64 * 40 && slot >> EPOCH_SHIFT == 40);
    EXPECT(recorder_size((struct recorder_block){slot, 0}) == 10);
    EXPECT(recorder_site_of((void *)0x20000000) == site && recorder_site_of((void *)0x30000000) == other);
    EXPECT(recorder_site_of((void *)0x20000010) == 0 && recorder_site_of((void *)0x7000000000) == 0);
}

static void ten_million_cycles_neither_wrap_nor_lose(void)
{
    uint32_t site = recorder_native_site(0x4000);
    uint64_t expected = 0;
    for (uint64_t cycle = 0; cycle < 100000000; cycle += 100000) {
        recorder_control.cycle = cycle;
        born(0x20000000 + 16 * expected++, 16, site);
        count();
        EXPECT(checkpoint.live_blocks == expected);
    }
    EXPECT(checkpoint.shift == 4);
    uintptr_t address;
    uint64_t slot;
    uint64_t early = born_in(0, 50000000, 0, &address, &slot);
    EXPECT(early >= expected / 2 - 1 && early <= expected / 2 + 1);
}

static uint32_t remembered_leaves(void)
{
    struct tables tables = {0};
    recorder_places(&tables);
    const struct leaf *leaves = (const struct leaf *)tables.leaves;
    uint32_t known = 0;
    for (uint32_t l = 0; l < load((uint32_t *)tables.leaf_count_at); l++)
        known += ((struct counted *)leaves[l].counted)->is_known;
    return known;
}

static uint64_t blocks_in_rows(uint32_t site, uint16_t bucket)
{
    uint64_t found = 0;
    for (uint32_t row = 0; row < checkpoint.rows; row++)
        found += rows[row].site == site && rows[row].bucket == bucket ? rows[row].live_blocks : 0;
    return found;
}

#define SPOTS 4096
#define TEST_LEAVES 16

/* In each cycle a few leaves are touched, in every way in which a slot is written; most are not. */
static void what_is_remembered_of_leaves_is_what_is_in_them(void)
{
    static struct {
        uint32_t site, born;
        size_t size;
    } blocks[SPOTS];
    uint64_t state = 1, most_remembered = 0;
    for (uint32_t cycle = 1; cycle < 200; cycle++) {
        recorder_control.cycle = cycle;
        for (uint32_t n = 0; n < (cycle < 10 ? 20000u : cycle % 5 * 4); n++) {
            state = recorder_mix(state + 0x9e3779b97f4a7c15ull);
            uint32_t place = (uint32_t)(state >> 8) % SPOTS, site = 2 + (uint32_t)(state >> 30) % 5;
            /* The last place of each leaf is at its end, so the size of a big block stands in the next leaf. */
            uintptr_t leaf = place % TEST_LEAVES, in_leaf = place / TEST_LEAVES;
            uintptr_t offset = in_leaf ? in_leaf * 4096 : (1ul << LEAF_BITS) - 32;
            uintptr_t address = 0x300000000 + (leaf << LEAF_BITS) + offset;
            void *block = (void *)address; // NOLINT
            size_t sizes[] = {8, 100, 4000, SIZE_LIMIT + n};
            size_t size = sizes[state % (in_leaf ? 3 : 4)];
            if (!blocks[place].site) {
                enum domain domain = size < 16 ? DOMAIN_PYTHON_OBJ : DOMAIN_NATIVE;
                recorder_born(recorder_births, block, size, site, domain);
                blocks[place].site = site, blocks[place].born = cycle, blocks[place].size = size;
            } else if (state >> 60 < 3) {
                recorder_take_over(block, site);
                blocks[place].site = site, blocks[place].born = cycle;
            } else if (state >> 60 < 6) {
                recorder_put_back(block, recorder_died(block));
            } else {
                (void)recorder_died(block);
                blocks[place].site = 0;
            }
        }
        count();
        uint64_t live = 0, bytes = 0, of_site = 0, of_site_and_cycle = 0;
        for (uint32_t place = 0; place < SPOTS; place++) {
            live += blocks[place].site != 0;
            bytes += blocks[place].site ? blocks[place].size : 0;
            of_site += blocks[place].site == 3;
            of_site_and_cycle += blocks[place].site == 3 && blocks[place].born == 7;
        }
        EXPECT(checkpoint.live_blocks == live && checkpoint.live_bytes == bytes);
        uint64_t in_rows = 0;
        for (uint16_t bucket = 0; bucket < 100; bucket++)
            in_rows += blocks_in_rows(3, bucket);
        EXPECT(in_rows == of_site && blocks_in_rows(3, 7) == of_site_and_cycle);
        if (remembered_leaves() > most_remembered)
            most_remembered = remembered_leaves();
    }
    EXPECT(most_remembered > TEST_LEAVES / 2);
}

static void a_leaf_of_many_sites_is_counted_each_time(void)
{
    for (uint32_t n = 0; n < 10000; n++)
        born(0x20000000 + 64 * n, 100, 2 + n);
    for (int i = 0; i < 5; i++) {
        count();
        EXPECT(checkpoint.live_blocks == 10000 && checkpoint.rows == 10000 && remembered_leaves() == 0);
    }
}

static void what_is_remembered_is_halved_with_the_epochs(void)
{
    born(0x20000000, 100, 2);
    for (int i = 0; i < 5; i++)
        count();
    EXPECT(remembered_leaves() == 1 && blocks_in_rows(2, 0) == 1);
    recorder_control.cycle = (1ul << (EPOCH_BITS - 1)) - 1;
    born(0x30000000, 100, 2);
    for (int i = 0; i < 5; i++)
        count();
    EXPECT(remembered_leaves() == 2 && checkpoint.shift == 0);
    recorder_control.cycle++;
    count();
    EXPECT(checkpoint.shift == 1 && remembered_leaves() == 2);
    uint16_t bucket = 0;
    for (uint32_t row = 0; row < checkpoint.rows; row++)
        bucket = rows[row].bucket > bucket ? rows[row].bucket : bucket;
    EXPECT(blocks_in_rows(2, 0) == 1 && blocks_in_rows(2, bucket) == 1 && bucket == 8 + 18 * 4 + 3);
}

static void a_leaf_of_big_blocks_is_remembered(void)
{
    born(0x20000000, 5000000, 2);
    for (int i = 0; i < 3; i++)
        count();
    EXPECT(remembered_leaves() == 1 && checkpoint.live_blocks == 1 && checkpoint.live_bytes == 5000000);
}

/* NULL has the number of a free place. Each program releases it now and then, also while the leaf at the first place is
 * being made or is remembered. */
static void null_has_no_leaf(void)
{
    uintptr_t at_the_first_place[] = {1ul << (PLACE_BITS + LEAF_BITS), 1ul << (PLACE_BITS + SMALL_LEAF_BITS)};
    uint32_t site = recorder_native_site(0x4000);
    for (int step = 0; step < 4; step++) {
        EXPECT(!recorder_leaf(NULL) && !recorder_small_leaf(NULL));
        EXPECT(!recorder_forget_at_once(NULL) && !recorder_died(NULL).slot && !recorder_take_small_slot(NULL));
        if (step == 0) {
            born(at_the_first_place[0], 106, site);
            recorder_born(recorder_births, (void *)at_the_first_place[1], 8, site, DOMAIN_PYTHON_OBJ);
        } else {
            count();
            EXPECT(checkpoint.live_blocks == 2 && checkpoint.live_bytes == 114);
        }
    }
    leaves_forget();
    EXPECT(!recorder_leaf(NULL) && !recorder_small_leaf(NULL));
}

/* As a thread that found the slot, and then did not run while the leaf was counted twice. */
static void a_store_that_was_not_noticed_is_counted_soon(void)
{
    born(0x20000000, 100, 2);
    uint64_t *slot = &recorder_leaf((void *)0x20000100)[0x20000100 >> GRAIN_BITS];
    for (int i = 0; i < 5; i++)
        count();
    EXPECT(remembered_leaves() == 1);
    store(slot, recorder_slot((void *)0x20000100, 50, 2, DOMAIN_NATIVE));
    for (int i = 0; i < COUNTED_AGAIN; i++)
        count();
    EXPECT(checkpoint.live_blocks == 2 && checkpoint.live_bytes == 150);
}

/* As a thread that found the slot, and then did not run while checkpoints followed each other at once. */
static void what_was_just_touched_is_not_remembered(void)
{
    recorder_control.still_ns = 1000000000000ull;
    born(0x20000000, 100, 2);
    uint64_t *slot = &recorder_leaf((void *)0x20000100)[0x20000100 >> GRAIN_BITS];
    for (int i = 0; i < 5; i++)
        count();
    EXPECT(remembered_leaves() == 0);
    store(slot, recorder_slot((void *)0x20000100, 50, 2, DOMAIN_NATIVE));
    count();
    EXPECT(checkpoint.live_blocks == 2 && checkpoint.live_bytes == 150);
}

static void a_full_table_of_sites_is_said(void)
{
    for (uintptr_t address = 1; address < SITE_LIMIT + 1000; address++)
        EXPECT(recorder_native_site(address << 4) != 0);
    EXPECT(recorder_native_site(0x123456789) == 1);
    count();
    EXPECT(checkpoint.lost_sites > 900 && checkpoint.sites == SITE_LIMIT);
}

static void more_rows_than_there_is_room_for_are_said(void)
{
    for (uintptr_t i = 0; i < ROWS + 100; i++)
        born(0x20000000 + 16 * i, 8, recorder_native_site(0x1000 + 16 * i));
    count();
    EXPECT(checkpoint.rows == ROWS && checkpoint.unlisted_blocks == 100 && checkpoint.unlisted_bytes == 800);
}

static void a_flagged_site_wants_its_stack(void)
{
    uint32_t site = recorder_native_site(0x4000), other = recorder_native_site(0x5000);
    EXPECT(recorder_flag(site, SITE_FLAGGED) == 0);
    EXPECT(recorder_native_site(0x4000) == (site | SITE_WANTS_STACK));
    EXPECT(recorder_born_at_once((void *)0x10000000, 8, 0x4000) == 0);
    EXPECT(recorder_native_site(0x5000) == other);
    EXPECT(recorder_flag(99999, SITE_FLAGGED) == -1);
}

static uint64_t mapped_bytes(void)
{
    uint64_t bytes = 0;
    count();
    for (uint32_t i = 0; i < checkpoint.rows; i++)
        bytes += rows[i].live_bytes;
    EXPECT(checkpoint.live_blocks == 0);
    return bytes;
}

static void mappings_may_be_cut_and_replaced(void)
{
    uint32_t site = recorder_native_site(0x4000);
    mappings_add(0x100000, 0x10000, site, DOMAIN_MAPPING);
    EXPECT(mapped_bytes() == 0x10000);
    mappings_remove(0x104000, 0x4000);
    EXPECT(mapped_bytes() == 0xc000);
    mappings_add(0x102000, 0x8000, site, DOMAIN_MAPPING);
    EXPECT(mapped_bytes() == 0x10000);
    mappings_remove(0x0ff000, 0x4001);
    mappings_remove(0x105000, SIZE_MAX - 0x105000); /* the system refuses what goes beyond the last address */
    mappings_remove(0x105000, SIZE_MAX);
    EXPECT(mapped_bytes() == 0xc000);
    mappings_remove(0x0, 0x10000000);
    EXPECT(mapped_bytes() == 0 && checkpoint.rows == 0);
    EXPECT(births[site] == 2);
}

static void what_a_signal_handler_maps_while_a_mapping_moves_is_said_to_be_lost(void)
{
    uint32_t site = recorder_native_site(0x4000);
    mappings_add(0x100000, 0x10000, site, DOMAIN_MAPPING);
    int held = mappings_begin_move();
    EXPECT(held);
    mappings_add(0x900000, 0x1000, site, DOMAIN_MAPPING);
    mappings_end_move(held, 0x100000, 0x10000, 0x200000, 0x20000, site, DOMAIN_MAPPING);
    EXPECT(mapped_bytes() == 0x20000 && checkpoint.lost_mappings == 1);
    held = mappings_begin_move();
    mappings_end_move(held, 0x200000, 0x20000, 0, 0, site, DOMAIN_MAPPING); /* failed */
    EXPECT(mapped_bytes() == 0x20000);
    held = mappings_begin_move();
    mappings_end_move(held, 0x200000, 0, 0x300000, 0x1000, site, DOMAIN_MAPPING); /* the old one stays */
    EXPECT(mapped_bytes() == 0x21000 && checkpoint.lost_mappings == 1);
}

static void a_checkpoint_without_the_mappings_says_so(void)
{
    mappings_add(0x100000, 0x10000, recorder_native_site(0x4000), DOMAIN_MAPPING);
    EXPECT(mapped_bytes() == 0x10000 && checkpoint.lost_mappings == 0);
    int held = mappings_begin_move();
    EXPECT(mapped_bytes() == 0 && checkpoint.lost_mappings == 1);
    mappings_end_move(held, 0x100000, 0x10000, 0, 0, 1, DOMAIN_MAPPING);
    EXPECT(mapped_bytes() == 0x10000);
}

static uint64_t own_bytes(void)
{
    struct range ranges[LEDGER_RANGES];
    uint64_t bytes = 0;
    for (size_t i = recorder_ranges(ranges, LEDGER_RANGES); i-- > 0;)
        bytes += ranges[i].end - ranges[i].start;
    return bytes;
}

static void under_a_limit_of_address_space_little_is_reserved(void)
{
    EXPECT(own_bytes() < 17ul << 20);
    a_block_is_counted_until_it_dies();
    a_big_block_keeps_its_exact_size();
    for (uintptr_t megabyte = 0; megabyte < 1000; megabyte++)
        born(0x700000000000 + (megabyte << 20), 100, 2);
    count();
    EXPECT(checkpoint.live_blocks == 1000 && checkpoint.live_bytes == 100000 && checkpoint.lost_blocks == 0);
    for (uintptr_t megabyte = 0; megabyte < 1000; megabyte++)
        (void)recorder_died((void *)(0x700000000000 + (megabyte << 20))); // NOLINT
    EXPECT(own_bytes() < 300ul << 20); /* a quarter of the heap, and the other tables */
}

static void what_is_reserved_is_given_back_when_a_limit_is_set(void)
{
    born(0x200000000, 100, 2);
    uint64_t before = own_bytes();
    struct rlimit limit = {1ul << 30, 1ul << 30};
    EXPECT(setrlimit(RLIMIT_AS, &limit) == 0);
    leaves_give_back();
    EXPECT(own_bytes() <= before - 7 * LEAF_SLOTS * sizeof(uint64_t));
    born(0x300000000, 200, 2);
    EXPECT(own_bytes() < before);
    count();
    EXPECT(checkpoint.live_blocks == 2 && checkpoint.live_bytes == 300 && checkpoint.lost_blocks == 0);
}

/* As those of pymalloc, and of other allocators than that of glibc. */
static void blocks_may_begin_16_bytes_apart(void)
{
    enum domain domains[] = {DOMAIN_NATIVE, DOMAIN_PYTHON_MEM, DOMAIN_PYTHON_OBJ};
    for (int d = 0; d < 3; d++) {
        for (uintptr_t i = 0; i < 100000; i++)
            recorder_born(recorder_births, (void *)(0x40000000 + 16 * i), i % 17, 2, domains[d]); // NOLINT
        count();
        EXPECT(checkpoint.live_blocks == 100000 && checkpoint.rows == 1 && rows[0].domain == domains[d]);
        for (uintptr_t i = 0; i < 100000; i++) {
            void *address = (void *)(0x40000000 + 16 * i); // NOLINT
            struct recorder_block block = recorder_died(address);
            EXPECT(recorder_size(block) == i % 17 && recorder_site_of(address) == 0);
            recorder_put_back(address, block);
            EXPECT(recorder_site_of(address) == 2);
            EXPECT(recorder_died(address).slot == block.slot);
        }
        count();
        EXPECT(checkpoint.live_blocks == 0);
    }
}

static void what_a_big_block_leaves_behind_is_no_block(void)
{
    born(0x50000000, 1000000, 2);
    EXPECT(recorder_forget_at_once((void *)0x50000000));
    recorder_born(recorder_births, (void *)0x50000020, 8, 3, DOMAIN_PYTHON_OBJ);
    EXPECT(recorder_site_of((void *)0x50000020) == 3);
    count();
    EXPECT(checkpoint.live_blocks == 1 && checkpoint.live_bytes == 8);
    EXPECT(recorder_size(recorder_died((void *)0x50000020)) == 8);
    count();
    EXPECT(checkpoint.live_blocks == 0);
}

/* More leaves than one turn of the table of places, so that some are not at their first place. */
static void leaves_at_one_place_are_told_apart(void)
{
    uintptr_t apart = (uintptr_t)1 << (LEAF_BITS + PLACE_BITS);
    for (uintptr_t i = 1; i <= 100; i++)
        born(i * apart + 0x200000, 100 + i, 2);
    count();
    EXPECT(checkpoint.live_blocks == 100 && checkpoint.live_bytes == 100 * 100 + 5050);
    for (uintptr_t i = 1; i <= 100; i++)
        EXPECT(recorder_size(recorder_died((void *)(i * apart + 0x200000))) == 100 + i); // NOLINT
    count();
    EXPECT(checkpoint.live_blocks == 0 && checkpoint.lost_blocks == 0);
}

/* As a heap of brk and one of mappings may be: each leaf of one has the first place of a leaf of the other. */
static void two_long_rows_of_leaves_have_the_same_places(void)
{
    uintptr_t starts[] = {1ul << 40, (1ul << 40) + (1ul << (LEAF_BITS + PLACE_BITS))};
    for (uintptr_t i = 0; i < 600; i++)
        born(starts[i % 2] + ((i / 2) << LEAF_BITS), 100 + i % 2, 2);
    count();
    EXPECT(checkpoint.live_blocks == 600 && checkpoint.live_bytes == 60300 && checkpoint.lost_blocks == 0);
    for (uintptr_t i = 0; i < 600; i++)
        EXPECT(recorder_size(recorder_died((void *)(starts[i % 2] + ((i / 2) << LEAF_BITS)))) == 100 + i % 2); // NOLINT
    count();
    EXPECT(checkpoint.live_blocks == 0);
}

/* A heap of 80 GiB with leaves of both tables. To count it would read all slots: this asks for each block instead. */
static void blocks_beyond_the_limit_of_leaves_are_said_to_be_lost(void)
{
    const uintptr_t start = 1ul << 40, places = LEAF_LIMIT / 2 + 5000;
    struct tables tables = {0};
    recorder_places(&tables);
    for (uintptr_t i = 0; i < places; i++) {
        born(start + (i << LEAF_BITS), 100, 2);
        recorder_born(recorder_births, (void *)(start + (i << LEAF_BITS) + 4096), 8, 2, DOMAIN_PYTHON_OBJ); // NOLINT
    }
    uint64_t listed = *(uint32_t *)tables.leaf_count_at, lost = *(uint64_t *)tables.lost_blocks_at;
    EXPECT(listed == LEAF_LIMIT && listed + lost == 2 * places);
    for (uintptr_t i = 0; i < places; i++)
        for (uintptr_t offset = 0; offset <= 4096; offset += 4096)
            listed -= recorder_died((void *)(start + (i << LEAF_BITS) + offset)).slot != 0; // NOLINT
    EXPECT(listed == 0);
}

static void a_large_heap_is_counted_in_time(void)
{
    uint32_t site = recorder_native_site(0x4000);
    for (uintptr_t i = 0; i < 1000000; i++)
        born(0x100000000 + 208 * i, 200, site);
    count();
    count();
    EXPECT(checkpoint.live_blocks == 1000000);
    printf("%lu\n", (unsigned long)checkpoint.scan_ns / 1000);
}

/* ---- threads, against a reference count ---- */

#define THREADS 8
#define SLOTS 4096
#define PLACES 256 /* of mappings, which the threads share */
#define PLACE_BYTES 0x100000ul
#define SITES 256
#define FIRST_CALLER 0x400000ul

/* Padded, so that the threads do not share a cache line: those of a program would not. */
struct reference {
    uint64_t blocks, bytes, births, mapped_bytes;
    uint64_t padding[12];
};

static uint64_t operations;
static struct reference reference[THREADS];
static uint32_t working;
static int with_fork;

static uint64_t next_random(uint64_t *random)
{
    *random = *random * 6364136223846793005ull + 1442695040888963407ull;
    return *random >> 33;
}

static uintptr_t base_of(uintptr_t number)
{
    return 0x100000000 + number * 0x800000;
}

/* A birth by either function; a death, a failed realloc, or a realloc that keeps the birth. */
static void change_block(struct reference *mine, uintptr_t base, size_t *sizes, uint64_t *random)
{
    size_t slot = next_random(random) % SLOTS;
    size_t size = 1 + next_random(random) % (next_random(random) % 64 ? 4096 : 2000000);
    void *address = (void *)(base + slot * 1024); // NOLINT
    uintptr_t caller = FIRST_CALLER + next_random(random) % SITES;
    struct recorder_block block = {0, 0};
    if (sizes[slot]) {
        block = recorder_died(address);
        EXPECT(recorder_size(block) == sizes[slot]);
        uint64_t choice = next_random(random) % 4;
        if (choice == 0) {
            recorder_put_back(address, block);
            return;
        }
        mine->blocks--;
        mine->bytes -= sizes[slot];
        sizes[slot] = 0;
        if (choice > 1)
            return;
    }
    if (!recorder_born_at_once(address, size, caller))
        recorder_born(recorder_births, address, size, recorder_native_site(caller) & SITE_MASK, DOMAIN_NATIVE);
    recorder_keep_birth(address, block);
    mine->births++;
    mine->blocks++;
    mine->bytes += size;
    sizes[slot] = size;
}

/* Threads move their mappings to and fro. As with the kernel, each may take a place as soon as another has left it. */
static uint32_t owner[PLACES];

static uintptr_t place_of_mapping(size_t place)
{
    return 0x7000000000 + place * PLACE_BYTES;
}

static int claim(size_t place)
{
    uint32_t nobody = 0;
    return __atomic_compare_exchange_n(&owner[place], &nobody, 1, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

static void change_mapping(struct reference *mine, size_t *held, uint64_t *random)
{
    size_t place = next_random(random) % PLACES;
    size_t pages = 1 + next_random(random) % (PLACE_BYTES / 4096);
    uint32_t site = recorder_native_site(FIRST_CALLER + next_random(random) % SITES) & SITE_MASK;
    if (!*held) {
        if (!claim(place))
            return;
        mappings_add(place_of_mapping(place), pages * 4096, site, DOMAIN_MAPPING);
        mine->mapped_bytes += pages * 4096;
    } else if (next_random(random) % 2) {
        size_t old = *held >> 32, old_pages = *held & 0xffffffff;
        mappings_remove(place_of_mapping(old), old_pages * 4096);
        store(&owner[old], 0);
        mine->mapped_bytes -= old_pages * 4096;
        *held = 0;
        return;
    } else {
        size_t old = *held >> 32, old_pages = *held & 0xffffffff;
        int taken = mappings_begin_move();
        int moved = claim(place);
        if (moved)
            store(&owner[old], 0); /* from now on another thread may map there */
        mappings_end_move(taken, place_of_mapping(old), old_pages * 4096, place_of_mapping(place),
                          moved ? pages * 4096 : 0, site, DOMAIN_MAPPING);
        if (!moved)
            return;
        mine->mapped_bytes += pages * 4096 - old_pages * 4096;
    }
    *held = place << 32 | pages;
    mine->births++;
}

#define HANDLER_CALLS 2000
#define HANDLER_BLOCKS 1000u
static volatile sig_atomic_t handler_calls, is_child_of_handler;

static void born_in_turn(uint32_t number)
{
    born(0x10000000 + number * 256, 106, recorder_native_site(0x4000) & SITE_MASK);
}

static void allocate_and_fork(int signal)
{
    (void)signal;
    if (is_child_of_handler || handler_calls == HANDLER_CALLS)
        return;
    born_in_turn(HANDLER_BLOCKS + (uint32_t)handler_calls++);
    if (handler_calls % 8)
        return;
    pid_t child = fork();
    if (child == 0) {
        is_child_of_handler = 1;
        recorder_go_on_in_child();
        return;
    }
    int status;
    EXPECT(waitpid(child, &status, 0) == child && status == 0);
}

/* The child goes on where the handler interrupted its parent: nearly always, a leaf was being packed there. */
static void a_child_that_a_signal_handler_forks_goes_on_packing(void)
{
    struct itimerval often = {{0, 30}, {0, 30}}, never = {{0, 0}, {0, 0}};
    packing_saves_nothing = 1;
    for (uint32_t i = 0; i < HANDLER_BLOCKS; i++)
        born_in_turn(i);
    EXPECT(signal(SIGALRM, allocate_and_fork) != SIG_ERR);
    EXPECT(setitimer(ITIMER_REAL, &often, NULL) == 0);
    for (uint32_t i = 0; handler_calls < HANDLER_CALLS && !is_child_of_handler; i++) {
        born_in_turn(i % HANDLER_BLOCKS);
        EXPECT(pack_all() > 0);
    }
    EXPECT(setitimer(ITIMER_REAL, &never, NULL) == 0);
    count();
    uint64_t blocks = HANDLER_BLOCKS + (uint64_t)handler_calls;
    EXPECT(checkpoint.live_blocks == blocks && checkpoint.live_bytes == blocks * 106);
    if (is_child_of_handler)
        _exit(0);
}

/* A reader would take what stays there for the words of the leaf that is packed next. */
static void where_what_was_moved_cannot_be_emptied_no_leaf_is_packed_any_more(void)
{
    struct range own[LEDGER_RANGES];
    packing_saves_nothing = 1;
    born_in_turn(0);
    born(0x20000000, 106, recorder_native_site(0x4000));
    EXPECT(pack_all() == 2);
    for (size_t i = recorder_ranges(own, LEDGER_RANGES); i-- > 0;)
        if (mlock2((void *)own[i].start, own[i].end - own[i].start, MLOCK_ONFAULT))
            return; /* it may not lock so much here */
    born_in_turn(1);
    EXPECT(pack_all() == 1);
    EXPECT(!packing_begin());
    born_in_turn(2);
    count();
    EXPECT(checkpoint.live_blocks == 4 && checkpoint.live_bytes == 4ul * 106);
}

/* The child has all blocks of this thread, also where a leaf was being packed. */
static void fork_here(uintptr_t base, const size_t *sizes)
{
    pid_t child = fork();
    if (child == 0) {
        recorder_go_on_in_child();
        for (size_t slot = 0; slot < SLOTS; slot++)
            EXPECT(recorder_size(recorder_died((void *)(base + slot * 1024))) == sizes[slot]); // NOLINT
        recorder_stop();
        born(0x10, 1, 1);
        (void)recorder_died((void *)base);
        mappings_remove(0x7000000000, PLACES * PLACE_BYTES);
        _exit(0);
    }
    int status;
    EXPECT(waitpid(child, &status, 0) == child && status == 0);
}

static void *work(void *argument)
{
    uintptr_t number = (uintptr_t)argument;
    size_t sizes[SLOTS] = {0}, mappings[16] = {0};
    uint64_t random = number + 1;
    for (uint64_t i = 0; i < operations / THREADS; i++) {
        store(&recorder_control.cycle, i * 16); /* past the first halving of epochs, where there are enough */
        if (next_random(&random) % 16)
            change_block(&reference[number], base_of(number), sizes, &random);
        else
            change_mapping(&reference[number], &mappings[next_random(&random) % 16], &random);
        if (with_fork && number == 0 && i == operations / THREADS / 2)
            fork_here(base_of(number), sizes);
    }
    __atomic_fetch_sub(&working, 1, __ATOMIC_RELEASE);
    return NULL;
}

/* What the main thread does while the threads work; none of it may change a count. */
static void read_on(void)
{
    for (uint32_t turn = 0; __atomic_load_n(&working, __ATOMIC_ACQUIRE); turn++) {
        count();
        uint32_t site = recorder_native_site(FIRST_CALLER + turn % SITES) & SITE_MASK;
        EXPECT(recorder_flag(site, SITE_FLAGGED) == 0);
        for (int i = 0; packs && i < 20; i++)
            (void)pack_all();
        usleep(2000);
    }
}

static void threads_lose_nothing(void)
{
    pthread_t threads[THREADS];
    struct reference sum = {0};
    uint64_t counted_births = 0, mapped = 0;
    for (uintptr_t i = 0; i < SITES; i++)
        (void)recorder_native_site(FIRST_CALLER + i);
    for (int round = 0; round < 2; round++) { /* the second round's threads take over the first one's counters */
        working = THREADS;
        for (uintptr_t i = 0; i < THREADS; i++) {
            reference[i] = (struct reference){.births = reference[i].births};
            EXPECT(pthread_create(&threads[i], NULL, work, (void *)i) == 0); // NOLINT
        }
        read_on();
        for (int i = 0; i < THREADS; i++)
            EXPECT(pthread_join(threads[i], NULL) == 0);
        if (round)
            break;
        for (uintptr_t slot = 0; slot < THREADS * SLOTS; slot++)
            (void)recorder_died((void *)(base_of(slot / SLOTS) + slot % SLOTS * 1024)); // NOLINT
        mappings_remove(0x7000000000, PLACES * PLACE_BYTES);
        memset(owner, 0, sizeof owner);
    }
    EXPECT(!packs || packing_packed > 0);
    packs = 0; /* which takes long under a sanitizer */
    /* A thread may not have run between two counts: its store is counted soon. */
    for (int i = 0; i < COUNTED_AGAIN; i++)
        count();
    for (int i = 0; i < THREADS; i++) {
        sum.blocks += reference[i].blocks;
        sum.bytes += reference[i].bytes;
        sum.births += reference[i].births;
        sum.mapped_bytes += reference[i].mapped_bytes;
    }
    for (uint32_t site = 0; site < checkpoint.sites; site++)
        counted_births += births[site];
    for (uint32_t row = 0; row < checkpoint.rows; row++)
        if (rows[row].domain == DOMAIN_MAPPING)
            mapped += rows[row].live_bytes;
    EXPECT(checkpoint.live_blocks == sum.blocks && checkpoint.live_bytes == sum.bytes);
    EXPECT(counted_births == sum.births && mapped == sum.mapped_bytes);
    EXPECT(checkpoint.lost_blocks == 0 && checkpoint.unlisted_blocks == 0 && checkpoint.lost_mappings == 0);
    printf("%lu live blocks, %lu bytes, %lu births, %lu bytes mapped, %u times packed\n", sum.blocks, sum.bytes,
           sum.births, mapped, packing_packed);
}

static const struct {
    const char *name;
    void (*run)(void);
} cases[] = {
#define CASE(name) {#name, name}
    CASE(a_block_is_counted_until_it_dies),
    CASE(a_big_block_keeps_its_exact_size),
    CASE(a_slot_tells_the_birth_cycle),
    CASE(ten_million_cycles_neither_wrap_nor_lose),
    CASE(what_is_remembered_of_leaves_is_what_is_in_them),
    CASE(a_leaf_of_many_sites_is_counted_each_time),
    CASE(what_is_remembered_is_halved_with_the_epochs),
    CASE(a_leaf_of_big_blocks_is_remembered),
    CASE(a_store_that_was_not_noticed_is_counted_soon),
    CASE(what_was_just_touched_is_not_remembered),
    CASE(null_has_no_leaf),
    CASE(a_full_table_of_sites_is_said),
    CASE(more_rows_than_there_is_room_for_are_said),
    CASE(a_flagged_site_wants_its_stack),
    CASE(mappings_may_be_cut_and_replaced),
    CASE(what_a_signal_handler_maps_while_a_mapping_moves_is_said_to_be_lost),
    CASE(a_checkpoint_without_the_mappings_says_so),
    CASE(under_a_limit_of_address_space_little_is_reserved),
    CASE(what_is_reserved_is_given_back_when_a_limit_is_set),
    CASE(blocks_may_begin_16_bytes_apart),
    CASE(what_a_big_block_leaves_behind_is_no_block),
    CASE(leaves_at_one_place_are_told_apart),
    CASE(two_long_rows_of_leaves_have_the_same_places),
    CASE(blocks_beyond_the_limit_of_leaves_are_said_to_be_lost),
    CASE(a_large_heap_is_counted_in_time),
    CASE(a_child_that_a_signal_handler_forks_goes_on_packing),
    CASE(where_what_was_moved_cannot_be_emptied_no_leaf_is_packed_any_more),
    CASE(threads_lose_nothing),
};

int main(int count_of_arguments, char **arguments)
{
    if (count_of_arguments < 2)
        return 2;
    operations = count_of_arguments > 2 ? strtoull(arguments[2], NULL, 10) : 400000;
    for (int i = 3; i < count_of_arguments; i++) {
        with_fork |= strcmp(arguments[i], "fork") == 0;
        packs |= strcmp(arguments[i], "pack") == 0;
    }
    packing_saves_nothing = packs;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (strcmp(cases[i].name, arguments[1]))
            continue;
        if (cases[i].run == under_a_limit_of_address_space_little_is_reserved) {
            struct rlimit limit = {4ul << 30, 4ul << 30};
            EXPECT(setrlimit(RLIMIT_AS, &limit) == 0);
        }
        start();
        cases[i].run();
        return 0;
    }
    return 2;
}
