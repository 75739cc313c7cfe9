/* The table of mappings: sorted, without overlap, with a lock that gives up instead of waiting for ever. */
#define _GNU_SOURCE
#include "mappings.h"
#include "recorder_hot.h"

#include <sched.h>
#include <string.h>
#include <time.h>

#define PAGE_MASK 4095ul

static struct mapping *table; /* sorted, without overlap */
static uint32_t count;
static uint64_t lost;
static uintptr_t taken_by; /* an address that differs in each thread; 0: the lock is free */
static uint32_t takings;
static uint32_t stuck; /* 1 + takings when a thread last gave up; no thread waits until the lock has been taken again */

#define STUCK_NS 2000000000ull
#define LOOKS_APART 1024u /* tries between two looks at the clock */

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

/* Locks the table. Gives up at once if this thread has locked it already: this is then a signal handler that maps
 * memory. Also gives up if no other thread gets the lock for a while: in a forked child it may belong to a thread
 * that the child does not have. On a busy machine the thread that has it may wait long for a processor. */
static int take(void)
{
    uintptr_t me = (uintptr_t)&recorder_births;
    uint32_t before = load(&takings), tries = 0;
    uint64_t since_ns = 0;
    for (;;) {
        uintptr_t holder = 0;
        if (__atomic_compare_exchange_n(&taken_by, &holder, me, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
            store(&takings, load(&takings) + 1);
            return 1;
        }
        if (holder == me || load(&stuck) == before + 1)
            break;
        sched_yield();
        if (load(&takings) != before) {
            before = load(&takings);
            tries = 0;
            since_ns = 0;
        } else if (++tries % LOOKS_APART == 0) {
            since_ns = since_ns ? since_ns : now_ns();
            if (now_ns() - since_ns > STUCK_NS)
                store(&stuck, before + 1);
        }
    }
    __atomic_fetch_add(&lost, 1, __ATOMIC_RELAXED);
    return 0;
}

static void give_back(void)
{
    __atomic_store_n(&taken_by, 0, __ATOMIC_RELEASE);
}

void mappings_go_on_in_child(void)
{
    uintptr_t holder = __atomic_load_n(&taken_by, __ATOMIC_RELAXED);
    if (!holder || holder == (uintptr_t)&recorder_births)
        return;
    lost++; /* the table may be half written */
    give_back();
}

static uint32_t first_ending_after(uintptr_t address)
{
    uint32_t low = 0, high = count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (table[middle].end > address)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static void insert(uint32_t place, struct mapping mapping)
{
    if (count == MAPPINGS_LIMIT) {
        lost++;
        return;
    }
    memmove(&table[place + 1], &table[place], (count - place) * sizeof *table);
    table[place] = mapping;
    count++;
}

static void cut(uintptr_t start, uintptr_t end)
{
    uint32_t place = first_ending_after(start);
    if (place < count && table[place].start < start) {
        struct mapping rest = table[place];
        table[place].end = start;
        place++;
        if (rest.end > end) {
            rest.start = end;
            insert(place, rest);
            return;
        }
    }
    uint32_t after = place;
    while (after < count && table[after].end <= end)
        after++;
    memmove(&table[place], &table[after], (count - after) * sizeof *table);
    count -= after - place;
    if (place < count && table[place].start < end)
        table[place].start = end;
}

static uintptr_t page_end(uintptr_t start, size_t length)
{
    return (start + length + PAGE_MASK) & ~PAGE_MASK;
}

int mappings_start(void)
{
    if (!table)
        table = recorder_reserve(MAPPINGS_LIMIT * sizeof *table);
    return table ? 0 : -1;
}

static void place_mapping(uintptr_t start, size_t length, uint32_t site, enum domain domain)
{
    uintptr_t end = page_end(start, length);
    cut(start, end);
    insert(first_ending_after(start), (struct mapping){start, end, load(&recorder_control.cycle), site, domain});
}

void mappings_add(uintptr_t start, size_t length, uint32_t site, enum domain domain)
{
    if (!table || !recorder_control.recording)
        return;
    recorder_count_birth(site);
    if (!take())
        return;
    place_mapping(start, length, site, domain);
    give_back();
}

void mappings_remove(uintptr_t start, size_t length)
{
    int is_refused = start & PAGE_MASK || !length || length > UINTPTR_MAX - PAGE_MASK - start;
    if (!table || !recorder_control.recording || is_refused || !take())
        return;
    cut(start, page_end(start, length));
    give_back();
}

int mappings_begin_move(void)
{
    return table && recorder_control.recording && take();
}

void mappings_end_move(int held, uintptr_t old, size_t old_length, uintptr_t start, size_t length, uint32_t site,
                       enum domain domain)
{
    if (held && length) {
        if (old_length)
            cut(old, page_end(old, old_length));
        place_mapping(start, length, site, domain);
    }
    if (held)
        give_back();
    if (held && length)
        recorder_count_birth(site);
}

void mappings_count(struct ledger_checkpoint *checkpoint, struct ledger_row *rows, uint32_t capacity)
{
    int held = table && take();
    for (uint32_t i = 0; held && i < count; i++)
        recorder_add_row(checkpoint, rows, capacity, table[i].site, (enum domain)table[i].domain,
                         table[i].cycle >> checkpoint->shift, table[i].end - table[i].start);
    checkpoint->lost_mappings = load(&lost);
    if (held)
        give_back();
}

void mappings_places(struct tables *tables)
{
    tables->mappings = (uintptr_t)table;
    tables->mapping_count_at = (uintptr_t)&count;
    tables->lost_mappings_at = (uintptr_t)&lost;
}
