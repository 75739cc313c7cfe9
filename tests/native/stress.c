/* Every way to get memory and to give it back, from eight threads at once, in a process that the tracker is preloaded
 * into: at the end its ledger says of each call the blocks, bytes and births that the program has counted itself.
 * Meanwhile the main thread takes checkpoints, advances the cycle past the first halving of epochs and has stacks
 * captured, and one thread forks. Exit 0 when all is equal, else a line for each difference and 1.
 *
 *     stress OPERATIONS LEDGER */
#define _GNU_SOURCE
#include "recorder/layout.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define THREADS 8
#define BLOCKS 1024 /* of one thread */
#define PAGE 4096u
#define CYCLES 20000000ull
#define STEPS 40
#define COUNTED_AGAIN 64 /* recorder.c: within so many checkpoints each leaf is counted again */
#define NOT_HERE 77      /* exit status: there is no libstdc++ */
#define CALL __attribute__((noinline, noclone)) static
#define EXPECT(what)                                                                                                   \
    do {                                                                                                               \
        if (!(what)) {                                                                                                 \
            fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #what);                                   \
            _exit(1);                                                                                                  \
        }                                                                                                              \
    } while (0)

/* From libstdc++, which is opened at run time: so no C++ compiler is needed. */
static void *(*operator_new)(size_t);
static void *(*operator_new_aligned)(size_t, size_t);
static void (*operator_delete)(void *);
static void (*operator_delete_aligned)(void *, size_t);

/* ---- one call site for each way ---- */

/* The volatile result is used after the call. So the call does not become a jump, and the function is the caller. */
#define RETURN(value)                                                                                                  \
    void *volatile result = (value);                                                                                   \
    return result

static char *text_of(size_t size)
{
    static __thread char text[2 * PAGE];
    memset(text, 'x', size - 1);
    text[size - 1] = 0;
    return text;
}

/* clang-format off */
CALL void *by_malloc(size_t size) { RETURN(malloc(size)); }
CALL void *by_calloc(size_t size) { RETURN(calloc(1, size)); }
CALL void *by_realloc(size_t size) { RETURN(realloc(NULL, size)); }
CALL void *by_reallocarray(size_t size) { RETURN(reallocarray(NULL, size, 1)); }
CALL void *by_aligned_alloc(size_t size) { RETURN(aligned_alloc(64, size)); }
CALL void *by_memalign(size_t size) { RETURN(memalign(256, size)); }
CALL void *by_valloc(size_t size) { RETURN(valloc(size)); }
CALL void *by_pvalloc(size_t size) { RETURN(pvalloc(size)); }
CALL void *by_new(size_t size) { RETURN(operator_new(size)); }
CALL void *by_new_aligned(size_t size) { RETURN(operator_new_aligned(size, 64)); }
CALL void *by_strdup(size_t size) { RETURN(strdup(text_of(size))); }
CALL void *by_strndup(size_t size) { RETURN(strndup(text_of(size + 10), size - 1)); }

/* What resizes has a call site of its own as well. */
CALL void *again_by_realloc(void *old, size_t size) { RETURN(realloc(old, size)); }
CALL void *again_by_reallocarray(void *old, size_t size) { RETURN(reallocarray(old, size, 1)); }
/* clang-format on */

CALL void *by_posix_memalign(size_t size)
{
    void *result;
    return posix_memalign(&result, 64, size) ? NULL : result;
}

CALL void *by_asprintf(size_t size)
{
    char *result;
    return asprintf(&result, "%s", text_of(size)) < 0 ? NULL : result;
}

CALL void *by_mmap(size_t size)
{
    void *result = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return result == MAP_FAILED ? NULL : result;
}

CALL void *again_by_mremap(void *old, size_t old_size, size_t size)
{
    void *result = mremap(old, old_size, size, MREMAP_MAYMOVE);
    return result == MAP_FAILED ? NULL : result;
}

enum way {
    BY_MALLOC,
    BY_CALLOC,
    BY_REALLOC,
    BY_REALLOCARRAY,
    BY_POSIX_MEMALIGN,
    BY_ALIGNED_ALLOC,
    BY_MEMALIGN,
    BY_VALLOC,
    BY_PVALLOC,
    BY_STRDUP,
    BY_STRNDUP,
    BY_ASPRINTF,
    BY_NEW,
    BY_NEW_ALIGNED,
    BY_MMAP,
    AGAIN_BY_REALLOC,
    AGAIN_BY_REALLOCARRAY,
    AGAIN_BY_MREMAP,
    WAYS,
};

static const struct {
    const char *name;
    void *(*allocate)(size_t size);
    size_t largest;
} ways[WAYS] = {
    [BY_MALLOC] = {"malloc", by_malloc, 2000000},
    [BY_CALLOC] = {"calloc", by_calloc, 2000000},
    [BY_REALLOC] = {"realloc", by_realloc, 2000000},
    [BY_REALLOCARRAY] = {"reallocarray", by_reallocarray, 2000000},
    [BY_POSIX_MEMALIGN] = {"posix_memalign", by_posix_memalign, 2000000},
    [BY_ALIGNED_ALLOC] = {"aligned_alloc", by_aligned_alloc, 2000000},
    [BY_MEMALIGN] = {"memalign", by_memalign, 2000000},
    [BY_VALLOC] = {"valloc", by_valloc, 2000000},
    [BY_PVALLOC] = {"pvalloc", by_pvalloc, 2000000},
    [BY_STRDUP] = {"strdup", by_strdup, PAGE},
    [BY_STRNDUP] = {"strndup", by_strndup, PAGE},
    [BY_ASPRINTF] = {"asprintf", by_asprintf, PAGE},
    [BY_NEW] = {"operator new", by_new, 2000000},
    [BY_NEW_ALIGNED] = {"operator new, aligned", by_new_aligned, 2000000},
    [BY_MMAP] = {"mmap", by_mmap, 16 * PAGE},
    [AGAIN_BY_REALLOC] = {"realloc of a block", NULL, 0},
    [AGAIN_BY_REALLOCARRAY] = {"reallocarray of a block", NULL, 0},
    [AGAIN_BY_MREMAP] = {"mremap", NULL, 0},
};

/* ---- the reference count ---- */

struct block {
    char *address;
    size_t size;
    enum way way;     /* that it counts for now */
    enum way made_by; /* that says how to give it back */
};

/* Signed: what one thread allocates another may release. */
struct count {
    int64_t blocks, bytes, births;
};

static struct block pool[THREADS + 1][BLOCKS]; /* the last ones to swap with */
static struct block *_Atomic swapped[BLOCKS];
static struct count counted[THREADS][WAYS];
static uint32_t site_of_way[WAYS];
static uint64_t operations;
static uint64_t *cycle;
static long (*take_checkpoint)(void);
static pthread_barrier_t together; /* all threads and the main one */

/* Mappings are whole pages, and the aligned operator new asks for a multiple of the alignment. */
static size_t in_the_ledger(enum way way, size_t size)
{
    size_t unit = way == BY_MMAP || way == AGAIN_BY_MREMAP ? PAGE : way == BY_NEW_ALIGNED ? 64 : 1;
    return (size + unit - 1) / unit * unit;
}

static void counts(struct count *of_thread, const struct block *block, int sign)
{
    of_thread[block->way].blocks += sign;
    of_thread[block->way].bytes += sign * (int64_t)in_the_ledger(block->way, block->size);
}

/* Writes to both ends of a block. check_signature then fails when another block overlaps it. */
static void sign(struct block *block)
{
    block->address[0] = (char)((uintptr_t)block->address >> 4);
    block->address[block->size - 1] = block->address[0];
}

static void check_signature(const struct block *block)
{
    EXPECT(block->address[block->size - 1] == block->address[0]);
    EXPECT(block->size == 1 || block->address[0] == (char)((uintptr_t)block->address >> 4));
}

static void allocate(struct count *of_thread, struct block *block, enum way way, size_t size)
{
    *block = (struct block){ways[way].allocate(size), size, way, way};
    EXPECT(block->address != NULL);
    sign(block);
    counts(of_thread, block, 1);
    of_thread[way].births++;
}

static void release(struct count *of_thread, struct block *block)
{
    check_signature(block);
    counts(of_thread, block, -1);
    if (block->made_by == BY_MMAP)
        EXPECT(munmap(block->address, block->size) == 0);
    else if (block->made_by == BY_NEW)
        operator_delete(block->address);
    else if (block->made_by == BY_NEW_ALIGNED)
        operator_delete_aligned(block->address, 64);
    else
        free(block->address);
    block->address = NULL;
}

/* The block passes to the call that resized it. */
static void resize(struct count *of_thread, struct block *block, size_t size, int by_array)
{
    check_signature(block);
    counts(of_thread, block, -1);
    if (block->made_by == BY_MMAP) {
        block->address = again_by_mremap(block->address, block->size, size);
        block->way = AGAIN_BY_MREMAP;
    } else if (by_array) {
        block->address = again_by_reallocarray(block->address, size);
        block->way = AGAIN_BY_REALLOCARRAY;
    } else {
        block->address = again_by_realloc(block->address, size);
        block->way = AGAIN_BY_REALLOC;
    }
    EXPECT(block->address != NULL);
    block->size = size;
    sign(block);
    counts(of_thread, block, 1);
    of_thread[block->way].births++;
}

static void fail_to_resize(struct block *block)
{
    volatile size_t too_much = SIZE_MAX / 2;
    EXPECT(realloc(block->address, too_much) == NULL);
    check_signature(block);
}

/* The child is not recorded any more, and must not change its parent's ledger. */
static void fork_here(void)
{
    pid_t child = fork();
    if (child == 0) {
        void *volatile kept = NULL;
        for (int i = 0; i < 1000; i++) {
            free(kept);
            kept = realloc(malloc(100), 200);
        }
        munmap(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), PAGE);
        _exit(take_checkpoint() == -1 ? 0 : 1);
    }
    int status;
    EXPECT(waitpid(child, &status, 0) == child && status == 0);
}

/* ---- what the threads do ---- */

static uint64_t next_random(uint64_t *random)
{
    *random = *random * 6364136223846793005ull + 1442695040888963407ull;
    return *random >> 33;
}

static size_t random_size(uint64_t *random, enum way way)
{
    size_t most = way != BY_MMAP && ways[way].largest > PAGE && next_random(random) % 64 ? PAGE : ways[way].largest;
    return 1 + next_random(random) % most;
}

static void operate(struct count *of_thread, struct block **mine, uint64_t *random)
{
    struct block **place = &mine[next_random(random) % BLOCKS];
    struct block *block = *place;
    uint64_t choice = next_random(random) % 16;
    if (choice == 0) {
        *place = __atomic_exchange_n(&swapped[next_random(random) % BLOCKS], block, __ATOMIC_ACQ_REL);
    } else if (!block->address) {
        enum way way = next_random(random) % (BY_MMAP + 1);
        allocate(of_thread, block, way, random_size(random, way));
    } else if (block->made_by == BY_NEW || block->made_by == BY_NEW_ALIGNED || choice > 6) {
        release(of_thread, block);
    } else if (choice == 1 && block->made_by != BY_MMAP) {
        fail_to_resize(block);
    } else {
        resize(of_thread, block, random_size(random, block->made_by), choice % 2);
    }
}

static void *work(void *argument)
{
    uintptr_t number = (uintptr_t)argument;
    struct block *mine[BLOCKS];
    uint64_t random = number + 1;
    for (int i = 0; i < BLOCKS; i++)
        mine[i] = &pool[number][i];
    free(malloc(1)); /* malloc allocates once for each thread; that must happen before the first checkpoint */
    pthread_barrier_wait(&together);
    pthread_barrier_wait(&together);
    for (uint64_t i = 0; i < operations / THREADS; i++) {
        operate(counted[number], mine, &random);
        if (number == 0 && i == operations / THREADS / 2)
            fork_here();
    }
    pthread_barrier_wait(&together);
    pthread_barrier_wait(&together); /* until the last checkpoint: a thread that ends frees memory of its own */
    return NULL;
}

/* ---- what the ledger says ---- */

static struct ledger_header *ledger;

static struct ledger_checkpoint *latest(void)
{
    EXPECT(take_checkpoint() > 0);
    return (struct ledger_checkpoint *)((char *)ledger + ledger->checkpoint_at[ledger->latest - 1]);
}

static uint64_t *births_of(struct ledger_checkpoint *checkpoint)
{
    return (uint64_t *)((struct range *)(checkpoint + 1) + LEDGER_RANGES);
}

/* A flagged site over itself and the sites of its stacks. */
static struct count recorded(struct ledger_checkpoint *checkpoint, uint32_t site)
{
    const struct site *sites = (struct site *)((char *)ledger + ledger->sites_at);
    const struct ledger_row *rows = (struct ledger_row *)(births_of(checkpoint) + ledger->site_capacity);
    struct count sum = {0};
    for (uint32_t row = 0; row < checkpoint->rows; row++) {
        if (rows[row].site != site && sites[rows[row].site].parent != site)
            continue;
        sum.blocks += (int64_t)rows[row].live_blocks;
        sum.bytes += (int64_t)rows[row].live_bytes;
    }
    for (uint32_t other = 2; other < checkpoint->sites; other++)
        if (other == site || sites[other].parent == site)
            sum.births += (int64_t)births_of(checkpoint)[other];
    return sum;
}

/* Uses each way once, so that the tracker knows its site. Pass-throughs are known from the second checkpoint on. */
static void find_sites(void)
{
    uint32_t (*site_of)(const void *) = dlsym(RTLD_DEFAULT, "soak_site_of");
    EXPECT(site_of != NULL);
    for (int round = 0; round < 6; round++) {
        for (enum way way = 0; way < BY_MMAP; way++) {
            struct block block = {ways[way].allocate(100), 100, way, way};
            EXPECT(block.address != NULL);
            sign(&block);
            site_of_way[way] = site_of(block.address);
            EXPECT(site_of_way[way] > 1);
            release(counted[0], &block);
        }
        void *moved = again_by_realloc(malloc(10), 100);
        site_of_way[AGAIN_BY_REALLOC] = site_of(moved);
        moved = again_by_reallocarray(moved, 200);
        site_of_way[AGAIN_BY_REALLOCARRAY] = site_of(moved);
        free(moved);
        (void)latest();
    }
}

/* A mapping's site is known by its row. */
static void find_sites_of_mappings(void)
{
    void *mapped = by_mmap(3 * PAGE);
    for (int i = 0; i < 2; i++) {
        struct ledger_checkpoint *checkpoint = latest();
        const struct ledger_row *rows = (struct ledger_row *)(births_of(checkpoint) + ledger->site_capacity);
        enum way way = i ? AGAIN_BY_MREMAP : BY_MMAP;
        for (uint32_t row = 0; row < checkpoint->rows; row++)
            if (rows[row].domain == DOMAIN_MAPPING && rows[row].live_bytes == (i ? 5 : 3) * PAGE)
                site_of_way[way] = rows[row].site;
        EXPECT(site_of_way[way] > 1);
        if (!i)
            mapped = again_by_mremap(mapped, 3 * PAGE, 5 * PAGE);
    }
    munmap(mapped, 5 * PAGE);
}

static void request_flags(void)
{
    static const enum way flagged[] = {BY_MALLOC, BY_STRDUP, BY_NEW, AGAIN_BY_REALLOC};
    for (int i = 0; i < 4; i++)
        ledger->request_sites[i] = site_of_way[flagged[i]];
    ledger->request_count = 4;
    __atomic_store_n(&ledger->request_sequence, ledger->request_sequence + 1, __ATOMIC_RELEASE);
}

/* By system call, so that this mapping is not counted among the program's. */
static struct ledger_header *map_ledger(const char *path)
{
    struct stat status;
    int file = open(path, O_RDWR);
    EXPECT(file >= 0 && fstat(file, &status) == 0);
    long memory = syscall(SYS_mmap, NULL, status.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    EXPECT(memory != -1);
    close(file);
    return (struct ledger_header *)memory; // NOLINT
}

static void connect_tracker(const char *path)
{
    int (*open_ledger)(const char *) = dlsym(RTLD_DEFAULT, "soak_open_ledger");
    uint32_t (*start)(void) = dlsym(RTLD_DEFAULT, "soak_start");
    uint64_t *(*find_cycle)(void) = dlsym(RTLD_DEFAULT, "soak_cycle");
    take_checkpoint = dlsym(RTLD_DEFAULT, "soak_checkpoint");
    EXPECT(open_ledger && start && find_cycle && take_checkpoint);
    EXPECT(open_ledger(path) == 0 && start() & STATE_NATIVE);
    ledger = map_ledger(path);
    cycle = find_cycle();
}

static void find_operators(void)
{
    void *library = dlopen("libstdc++.so.6", RTLD_NOW | RTLD_GLOBAL);
    if (!library)
        _exit(NOT_HERE);
    operator_new = dlsym(library, "_Znwm");
    operator_new_aligned = dlsym(library, "_ZnwmSt11align_val_t");
    operator_delete = dlsym(library, "_ZdlPv");
    operator_delete_aligned = dlsym(library, "_ZdlPvSt11align_val_t");
    EXPECT(operator_new && operator_new_aligned && operator_delete && operator_delete_aligned);
}

static struct count sum_of(enum way way, struct count sum)
{
    for (int thread = 0; thread < THREADS; thread++) {
        sum.blocks += counted[thread][way].blocks;
        sum.bytes += counted[thread][way].bytes;
        sum.births += counted[thread][way].births;
    }
    return sum;
}

static int compare(const char *name, struct count found, struct count expected)
{
    printf("%-24s %8ld live blocks, %12ld bytes, %8ld births\n", name, found.blocks, found.bytes, found.births);
    if (memcmp(&found, &expected, sizeof found) == 0)
        return 0;
    fprintf(stderr, "%s: the ledger has %ld live blocks, %ld bytes, %ld births instead of %ld, %ld, %ld\n", name,
            found.blocks, found.bytes, found.births, expected.blocks, expected.bytes, expected.births);
    return 1;
}

static struct count total(struct ledger_checkpoint *checkpoint)
{
    return (struct count){(int64_t)checkpoint->live_blocks, (int64_t)checkpoint->live_bytes, 0};
}

/* While the threads work: cycles, checkpoints, and stacks from the first quarter on. */
static void take_checkpoints(void)
{
    struct timespec pause = {0, 20000000};
    for (uint64_t step = 0; step < STEPS; step++) {
        *cycle = step * (CYCLES / STEPS);
        if (step == STEPS / 4)
            request_flags();
        (void)latest();
        nanosleep(&pause, NULL);
    }
}

int main(int count_of_arguments, char **arguments)
{
    if (count_of_arguments != 3)
        return 2;
    operations = strtoull(arguments[1], NULL, 10);
    connect_tracker(arguments[2]);
    find_operators();
    find_sites();
    find_sites_of_mappings();
    for (int i = 0; i < BLOCKS; i++)
        swapped[i] = &pool[THREADS][i];
    pthread_t threads[THREADS];
    pthread_barrier_init(&together, NULL, THREADS + 1);
    for (uintptr_t i = 0; i < THREADS; i++)
        EXPECT(pthread_create(&threads[i], NULL, work, (void *)i) == 0); // NOLINT
    pthread_barrier_wait(&together);

    struct ledger_checkpoint *checkpoint = latest();
    struct count expected[WAYS], in_all = total(checkpoint);
    memset(counted, 0, sizeof counted);
    for (enum way way = 0; way < WAYS; way++)
        expected[way] = recorded(checkpoint, site_of_way[way]);
    pthread_barrier_wait(&together);
    take_checkpoints();
    pthread_barrier_wait(&together);
    for (int i = 0; i < COUNTED_AGAIN; i++) /* what a thread stored late is counted by then */
        checkpoint = latest();

    int different = 0;
    for (enum way way = 0; way < WAYS; way++) {
        expected[way] = sum_of(way, expected[way]);
        different |= compare(ways[way].name, recorded(checkpoint, site_of_way[way]), expected[way]);
        if (way == BY_MMAP || way == AGAIN_BY_MREMAP)
            continue;
        in_all.blocks = sum_of(way, in_all).blocks;
        in_all.bytes = sum_of(way, in_all).bytes;
    }
    different |= compare("in all", total(checkpoint), in_all);
    EXPECT(checkpoint->lost_blocks + checkpoint->lost_sites + checkpoint->lost_mappings == 0);
    EXPECT(checkpoint->unlisted_blocks == 0 && checkpoint->shift > 0);
    pthread_barrier_wait(&together);
    for (int i = 0; i < THREADS; i++)
        EXPECT(pthread_join(threads[i], NULL) == 0);
    return different;
}
