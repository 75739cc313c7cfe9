/* The tracker's own memory. The place of each mapping is known, so that readers leave it out. The program's limits,
 * locks and filters of system calls are respected. */
#define _GNU_SOURCE
#include "memory.h"
#include "system.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define load(p) __atomic_load_n((p), __ATOMIC_RELAXED)

static struct range ranges[LEDGER_RANGES];
static uint32_t range_count;
static uint32_t locks_future;
uint32_t memory_is_filtered;

/* By system call, so that the tracker's own mappings do not pass its hooks. Leaves errno alone. */
static void *map(size_t bytes)
{
    if (load(&memory_is_filtered))
        return NULL;
    int saved = errno;
    /* Pages without access rights are not filled when the program locks all its mappings. */
    int is_locked = load(&locks_future) != 0;
    long result = system_call(SYS_mmap, NULL, bytes, is_locked ? PROT_NONE : PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (result != -1 && is_locked) {
        (void)system_call(SYS_munlock, result, bytes);
        if (system_call(SYS_mprotect, result, bytes, PROT_READ | PROT_WRITE)) {
            (void)system_call(SYS_munmap, result, bytes);
            result = -1;
        }
    }
    if (result != -1) {
        /* A table in which one slot is used would cost 2 MiB with a huge page. */
        (void)system_call(SYS_madvise, result, bytes, MADV_NOHUGEPAGE);
        (void)system_call(SYS_madvise, result, bytes, MADV_DONTDUMP);
    }
    errno = saved;
    return result == -1 ? NULL : (void *)result; // NOLINT
}

uint32_t memory_note(void *start, size_t bytes)
{
    uint32_t place = __atomic_fetch_add(&range_count, 1, __ATOMIC_RELAXED);
    if (place < LEDGER_RANGES) {
        ranges[place].start = (uintptr_t)start;
        __atomic_store_n(&ranges[place].end, (uintptr_t)start + bytes, __ATOMIC_RELEASE);
    }
    return place;
}

void memory_give_back(uint32_t number, void *start)
{
    if (number >= LEDGER_RANGES || (uintptr_t)start < ranges[number].start || (uintptr_t)start >= ranges[number].end)
        return; /* a forked child may have the old value of one of the two and the new value of the other */
    int saved = errno;
    (void)system_call(SYS_munmap, start, ranges[number].end - (uintptr_t)start);
    errno = saved;
    __atomic_store_n(&ranges[number].end, (uintptr_t)start, __ATOMIC_RELAXED);
}

void *memory_reserve(size_t bytes, uint32_t *number)
{
    void *memory = map(bytes);
    if (memory)
        *number = memory_note(memory, bytes);
    return memory;
}

void *recorder_reserve(size_t bytes)
{
    uint32_t number;
    return memory_reserve(bytes, &number);
}

static size_t count_ranges(void)
{
    size_t count = load(&range_count);
    return count < LEDGER_RANGES ? count : LEDGER_RANGES;
}

size_t recorder_ranges(struct range *out, size_t capacity)
{
    size_t count = count_ranges();
    if (count > capacity)
        count = capacity;
    memcpy(out, ranges, count * sizeof *out);
    return count;
}

int memory_first_own(uintptr_t start, uintptr_t end, struct range *own)
{
    *own = (struct range){end, end};
    for (size_t i = count_ranges(); i-- > 0;) {
        struct range range = {load(&ranges[i].start), load(&ranges[i].end)};
        if (range.start < own->start && range.end > start && range.end > range.start)
            *own = range;
    }
    return own->start < end;
}

uint64_t memory_own_bytes(void)
{
    uint64_t bytes = 0;
    for (size_t i = count_ranges(); i-- > 0;)
        bytes += load(&ranges[i].end) - load(&ranges[i].start);
    return bytes;
}

void memory_places(struct tables *tables)
{
    tables->ranges = (uintptr_t)ranges;
    tables->range_count_at = (uintptr_t)&range_count;
}

uint64_t memory_limit(uint64_t enough)
{
    static const int resources[] = {RLIMIT_AS, RLIMIT_DATA};
    uint64_t least = enough;
    struct rlimit limit;
    for (size_t i = 0; i < sizeof resources / sizeof *resources; i++)
        if (getrlimit(resources[i], &limit) == 0 && limit.rlim_cur < least)
            least = limit.rlim_cur;
    return least < enough ? least : 0;
}

void memory_locks_future(int locks)
{
    __atomic_store_n(&locks_future, (uint32_t)locks, __ATOMIC_RELEASE);
}

void memory_unlock_own(void)
{
    int saved = errno;
    for (size_t i = count_ranges(); i-- > 0;)
        if (ranges[i].end > ranges[i].start)
            (void)system_call(SYS_munlock, ranges[i].start, ranges[i].end - ranges[i].start);
    errno = saved;
}

void memory_filter(int filters)
{
    __atomic_store_n(&memory_is_filtered, (uint32_t)filters, __ATOMIC_RELEASE);
}
